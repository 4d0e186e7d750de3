-- Who spent it, call by call, by model: an attempt carries the tags of its item in extra_json.
with by_tag as (
    select
        unnest(map_entries(cast((extra_json -> '$.tags') as map(varchar, varchar)))) as tag,
        provider || '/' || request_model as model,
        status,
        error_code,
        escalation_reason,
        cost_nano_usd
    from 'attempts/*/*.parquet'
    where (extra_json -> '$.tags') is not null
)
select
    tag.key as tag,
    tag.value as value,
    model,
    count(*) as attempts,
    count(*) filter (status = 'succeeded') as succeeded,
    count(*) filter (error_code in ('not_json', 'schema_mismatch')) as failed_json,
    count(*) filter (escalation_reason is not null) as escalated,
    sum(cost_nano_usd) / 1e9 as cost_usd,
    sum(cost_nano_usd) filter (escalation_reason is not null) / 1e9 as escalated_away_usd
from by_tag
group by all
order by 1, cost_usd desc, 2, 3;
