-- What a success costs, by model: everything that was paid to it, useful or not, per accepted answer.
select
    provider || '/' || request_model as model,
    count(*) as attempts,
    count(*) filter (status = 'succeeded') as succeeded,
    count(*) filter (escalation_reason is not null) as escalated,
    sum(cost_nano_usd) / 1e9 as cost_usd,
    sum(cost_nano_usd) / 1e9 / nullif(count(*) filter (status = 'succeeded'), 0) as usd_per_success,
    quantile_cont(duration_ms, 0.5) filter (status = 'succeeded') as p50_ms,
    quantile_cont(duration_ms, 0.95) filter (status = 'succeeded') as p95_ms
from 'attempts/*/*.parquet'
group by all
order by cost_usd desc, model;
