-- Who spent it: an item counts once for each of its tags.
with by_tag as (
    select unnest(map_entries(tags)) as tag, cost_nano_usd, list_cost_nano_usd
    from 'results/*/*.parquet'
)
select
    tag.key as tag,
    tag.value as value,
    count(*) as items,
    sum(cost_nano_usd) / 1e9 as cost_usd,
    sum(list_cost_nano_usd - cost_nano_usd) / 1e9 as saved_usd
from by_tag
group by all
order by 1, cost_usd desc, 2;
