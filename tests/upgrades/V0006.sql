INSERT INTO schedules (id, public_id, owner_id, name, cron, only_missing, notes, on_board, next_at, created_at,
                       updated_at)
VALUES (1, 'schedule-1', 1, 'Paused', '0 3 * * *', 1, '', 1, NULL, 7000, 7000);
UPDATE users SET daily_usd = 5.0;
INSERT INTO spending (user_id, day, usd) VALUES (1, 20000, 1.5);
