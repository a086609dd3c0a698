-- Every change of an item's state is paid for in each index that names it. The one by run and endpoint served nothing
-- but the place in the queue, which the queue's own index answers once it names the run.
DROP INDEX work_items_next;
DROP INDEX work_items_ready;
CREATE INDEX work_items_ready ON work_items (endpoint, priority, run_after, id, run_id) WHERE state = 'ready';
