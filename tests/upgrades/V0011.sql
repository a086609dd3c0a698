INSERT INTO users (id, public_id, email, role, created_at) VALUES
    (21, 'user-21', 'Ada@example.com', 'member', 8000),
    (22, 'user-22', 'ada-21@example.com', 'member', 8000),
    (23, 'user-23', 'ada+evals@example.com', 'member', 8000),
    (24, 'user-24', '+++@example.com', 'member', 8000),
    (25, 'user-25', 'müller.with.a.very.long.name.indeed@example.com', 'member', 8000);
