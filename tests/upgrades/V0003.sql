INSERT INTO webhook_secrets (eval_id, sealed, origin, updated_at) VALUES (1, x'00', 'https://hooks.example', 1000);
