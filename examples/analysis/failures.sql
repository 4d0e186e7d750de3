-- Why items did not succeed, and what they cost all the same.
select
    status,
    error_code,
    count(*) as items,
    sum(cost_nano_usd) / 1e9 as cost_usd,
    any_value(error_message) as for_example
from 'results/*/*.parquet'
where status <> 'succeeded'
group by all
order by items desc, status, error_code;
