-- The items that took longest from first dispatch to their end, waits and retries included.
select
    job_id,
    custom_id,
    status,
    attempts,
    request_model,
    round(epoch_us(ended_at - started_at) / 1e6, 3) as seconds,
    latency_ms
from 'results/*/*.parquet'
where started_at is not null
order by seconds desc, job_id, item_index
limit 20;
