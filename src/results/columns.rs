//! Records in, columns out: one builder per column of `results/1` and `attempts/1`.
//!
//! A row is appended straight from the record, so that nothing is copied twice. What a row says
//! where the tables leave room:
//!
//! - The raw response stands in `results` for the attempt that ended the item, and in `attempts` for
//!   every answer that was not accepted, so that an accepted answer is stored once.
//! - A result's cost is the exact sum over its attempts, rounded once; each attempt's is rounded
//!   once. The two tables may differ by half a nano-dollar an attempt.
//! - An unpriced attempt has price 0 and `cost_basis` `unpriced`.
//! - `extra_json` holds what has no column yet, above all the tags of an attempt: see `extra`.
//!
//! Pure.

use std::fmt::Write as _;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int16Builder, Int64Builder, MapBuilder,
    MapFieldNames, StringBuilder, TimestampMicrosecondArray, TimestampMicrosecondBuilder,
};

use crate::attempt::{AttemptStatus, CostBasis, ErrorCode, ItemStatus};
use crate::clock::Timestamp;
use crate::job::Job;
use crate::money::{Usage, Usd};
use crate::record::{Ended, Settled};
use crate::results::extra;
use crate::results::schema::{self, Table};

/// Builders for all columns of one table.
pub(super) trait Columns: Default {
    /// Which.
    const TABLE: Table;

    /// The rows so far, in the schema's order; starts over.
    fn finish(&mut self) -> Vec<ArrayRef>;
}

macro_rules! columns {
    ($(#[$doc:meta])* $name:ident, $table:expr, { $($column:ident: $builder:ty,)* }) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(super) struct $name { $($column: $builder,)* }

        impl Columns for $name {
            const TABLE: Table = $table;

            fn finish(&mut self) -> Vec<ArrayRef> {
                vec![$(Arc::new(self.$column.finish()),)*]
            }
        }
    };
}

columns! {
    /// Columns of `results/1`.
    ResultColumns, Table::Results, {
        job_id: StringBuilder,
        custom_id: StringBuilder,
        status: StringBuilder,
        job_name: StringBuilder,
        item_index: Int64Builder,
        error_code: StringBuilder,
        error_message: StringBuilder,
        finish_reason: StringBuilder,
        output_text: StringBuilder,
        response_json: StringBuilder,
        input_json: StringBuilder,
        valid: BooleanBuilder,
        provider: StringBuilder,
        request_model: StringBuilder,
        response_model: StringBuilder,
        lane: StringBuilder,
        price_window: StringBuilder,
        step: Int16Builder,
        attempts: Int16Builder,
        priority: Int16Builder,
        input_tokens: Int64Builder,
        cache_read_input_tokens: Int64Builder,
        cache_write_input_tokens: Int64Builder,
        output_tokens: Int64Builder,
        reasoning_output_tokens: Int64Builder,
        cost_usd: Float64Builder,
        cost_nano_usd: Int64Builder,
        list_cost_nano_usd: Int64Builder,
        cost_basis: StringBuilder,
        submitted_at: TimeBuilder,
        ended_at: TimeBuilder,
        started_at: TimeBuilder,
        deadline_at: TimeBuilder,
        ended_date: Date32Builder,
        deadline_met: BooleanBuilder,
        latency_ms: Int64Builder,
        tags: TagsBuilder,
        extra_json: StringBuilder,
    }
}

impl ResultColumns {
    /// Adds the row of an item that ended with `last`, or without a further attempt; says how many
    /// bytes it is.
    pub(super) fn push(
        &mut self,
        job: &Job,
        settled: &Settled,
        last: Option<&Ended>,
        responses: bool,
    ) -> usize {
        let totals = &settled.totals;
        self.job_id.append_value(settled.job.as_str());
        self.custom_id.append_value(&settled.custom_id);
        self.status.append_value(settled.status.as_str());
        self.job_name.append_value(job.title());
        self.item_index.append_value(i64::from(settled.item));
        self.push_error(settled.error.as_ref());
        let answer = self.push_answer(settled, last, responses);
        let input = settled.input.as_ref().map(|input| String::from_utf8_lossy(input));
        self.input_json.append_option(input.as_deref());
        self.valid.append_option(settled.valid);
        self.push_route(last);
        self.step.append_option(settled.step.map(one_based));
        self.attempts.append_value(short(u64::from(totals.attempts)));
        self.priority.append_value(i16::from(settled.priority));
        self.push_usage(&totals.usage);
        self.cost_usd.append_value(usd(totals.cost));
        self.cost_nano_usd.append_value(nano(totals.cost));
        self.list_cost_nano_usd.append_value(nano(totals.list_cost));
        self.cost_basis.append_value(totals.basis.unwrap_or(CostBasis::Free).as_str());
        self.push_times(job, settled, last);
        self.tags.append(&settled.tags);
        answer + settled.custom_id.len() + input.map_or(0, |input| input.len()) + ROW_BYTES
    }

    fn push_error(&mut self, error: Option<&(ErrorCode, String)>) {
        self.error_code.append_option(error.map(|(code, _)| code.as_str()));
        self.error_message.append_option(error.map(|(_, message)| message));
    }

    fn push_answer(&mut self, settled: &Settled, last: Option<&Ended>, responses: bool) -> usize {
        self.finish_reason.append_option(last.and_then(|last| last.finish_reason.as_deref()));
        let text = last.and_then(|last| last.text.as_deref());
        self.output_text.append_option(text);
        let body =
            last.filter(|last| responses && !last.body.is_empty()).map(|last| Response::of(&last.body));
        self.response_json.append_option(body.as_ref().map(|body| &body.text));
        let lossy = body.as_ref().is_some_and(|body| body.lossy);
        self.extra_json.append_option(extra::of_result(settled, last, lossy));
        text.map_or(0, str::len) + body.map_or(0, |body| body.text.len())
    }

    fn push_route(&mut self, last: Option<&Ended>) {
        let route = last.map(|last| &last.route);
        self.provider.append_option(route.map(|route| &route.provider));
        self.request_model.append_option(route.map(|route| &route.model));
        self.response_model.append_option(last.and_then(|last| last.response_model.as_deref()));
        self.lane.append_option(route.map(|route| &route.lane));
        self.price_window.append_option(route.map(|route| &route.window));
    }

    fn push_usage(&mut self, usage: &Usage) {
        self.input_tokens.append_value(long(usage.input));
        self.cache_read_input_tokens.append_value(long(usage.cache_read));
        self.cache_write_input_tokens.append_value(long(usage.cache_write));
        self.output_tokens.append_value(long(usage.output));
        self.reasoning_output_tokens.append_value(long(usage.reasoning));
    }

    fn push_times(&mut self, job: &Job, settled: &Settled, last: Option<&Ended>) {
        self.submitted_at.append(Some(job.submitted_at));
        self.ended_at.append(Some(settled.at));
        self.started_at.append(settled.totals.first_sent);
        self.deadline_at.append(settled.deadline);
        self.ended_date.append_value(date(settled.at));
        let met = |deadline| settled.status != ItemStatus::Expired && settled.at <= deadline;
        self.deadline_met.append_option(settled.deadline.map(met));
        let accepted = last.filter(|last| last.status == AttemptStatus::Succeeded);
        self.latency_ms.append_option(accepted.map(duration_ms));
    }
}

columns! {
    /// Columns of `attempts/1`.
    AttemptColumns, Table::Attempts, {
        attempt_id: StringBuilder,
        job_id: StringBuilder,
        custom_id: StringBuilder,
        status: StringBuilder,
        error_code: StringBuilder,
        error_message: StringBuilder,
        item_index: Int64Builder,
        attempt: Int16Builder,
        step: Int16Builder,
        http_status: Int16Builder,
        provider: StringBuilder,
        request_model: StringBuilder,
        response_model: StringBuilder,
        endpoint: StringBuilder,
        lane: StringBuilder,
        price_window: StringBuilder,
        price_id: StringBuilder,
        upstream_request_id: StringBuilder,
        upstream_batch_id: StringBuilder,
        finish_reason: StringBuilder,
        check_message: StringBuilder,
        escalation_reason: StringBuilder,
        input_tokens: Int64Builder,
        cache_read_input_tokens: Int64Builder,
        cache_write_input_tokens: Int64Builder,
        output_tokens: Int64Builder,
        reasoning_output_tokens: Int64Builder,
        input_price_usd_per_mtok: Float64Builder,
        output_price_usd_per_mtok: Float64Builder,
        cost_usd: Float64Builder,
        cost_nano_usd: Int64Builder,
        list_cost_nano_usd: Int64Builder,
        cost_basis: StringBuilder,
        queued_at: TimeBuilder,
        started_at: TimeBuilder,
        first_token_at: TimeBuilder,
        ended_at: TimeBuilder,
        ended_date: Date32Builder,
        duration_ms: Int64Builder,
        retry_after_ms: Int64Builder,
        response_json: StringBuilder,
        extra_json: StringBuilder,
    }
}

impl AttemptColumns {
    /// Adds the row of an attempt; says how many bytes it is.
    pub(super) fn push(&mut self, ended: &Ended, responses: bool) -> usize {
        self.push_name(ended);
        self.push_error(ended);
        self.item_index.append_value(i64::from(ended.item));
        self.attempt.append_value(short(u64::from(ended.number)));
        self.step.append_value(one_based(ended.step));
        self.http_status.append_option(ended.http_status.map(|status| short(u64::from(status))));
        self.push_route(ended);
        self.upstream_request_id.append_option(ended.request_id.as_deref());
        self.upstream_batch_id.append_option(ended.upstream_batch.as_deref());
        self.finish_reason.append_option(ended.finish_reason.as_deref());
        self.escalation_reason.append_option(ended.escalation.map(ErrorCode::as_str));
        self.push_usage(ended.usage.as_ref());
        self.push_cost(ended);
        self.push_times(ended);
        let response = self.push_response(ended, responses);
        let message = ended.error.as_ref().map_or(0, |(_, message)| message.len());
        response + message + ended.custom_id.len() + ROW_BYTES
    }

    fn push_name(&mut self, ended: &Ended) {
        // What was written to the builder is part of the value that is appended next.
        let _ = write!(self.attempt_id, "{}", ended.attempt);
        self.attempt_id.append_value("");
        self.job_id.append_value(ended.job.as_str());
        self.custom_id.append_value(&ended.custom_id);
        self.status.append_value(ended.status.as_str());
    }

    fn push_error(&mut self, ended: &Ended) {
        let error = ended.error.as_ref();
        self.error_code.append_option(error.map(|(code, _)| code.as_str()));
        self.error_message.append_option(error.map(|(_, message)| message));
        let checked = error.filter(|(code, _)| ended.status == AttemptStatus::Rejected && is_check(*code));
        self.check_message.append_option(checked.map(|(_, message)| message));
    }

    fn push_route(&mut self, ended: &Ended) {
        let route = &ended.route;
        self.provider.append_value(&route.provider);
        self.request_model.append_value(&route.model);
        self.response_model.append_option(ended.response_model.as_deref());
        self.endpoint.append_value(&route.endpoint);
        self.lane.append_value(&route.lane);
        self.price_window.append_value(&route.window);
        self.price_id.append_value(&route.price_id);
        self.input_price_usd_per_mtok.append_value(per_million(route.input_price));
        self.output_price_usd_per_mtok.append_value(per_million(route.output_price));
    }

    fn push_usage(&mut self, usage: Option<&Usage>) {
        self.input_tokens.append_option(usage.map(|usage| long(usage.input)));
        self.cache_read_input_tokens.append_option(usage.map(|usage| long(usage.cache_read)));
        self.cache_write_input_tokens.append_option(usage.map(|usage| long(usage.cache_write)));
        self.output_tokens.append_option(usage.map(|usage| long(usage.output)));
        self.reasoning_output_tokens.append_option(usage.map(|usage| long(usage.reasoning)));
    }

    fn push_cost(&mut self, ended: &Ended) {
        self.cost_usd.append_value(usd(ended.cost));
        self.cost_nano_usd.append_value(nano(ended.cost));
        self.list_cost_nano_usd.append_value(nano(ended.list_cost));
        self.cost_basis.append_value(ended.cost_basis.as_str());
    }

    fn push_times(&mut self, ended: &Ended) {
        self.queued_at.append(Some(ended.queued_at));
        self.started_at.append(Some(ended.started_at));
        self.first_token_at.append(None);
        self.ended_at.append(Some(ended.ended_at));
        self.ended_date.append_value(date(ended.ended_at));
        self.duration_ms.append_value(duration_ms(ended));
        self.retry_after_ms.append_option(ended.retry_after_ms.map(long));
    }

    fn push_response(&mut self, ended: &Ended, responses: bool) -> usize {
        let kept = responses && ended.status != AttemptStatus::Succeeded && !ended.body.is_empty();
        let body = kept.then(|| Response::of(&ended.body));
        self.response_json.append_option(body.as_ref().map(|body| &body.text));
        let lossy = body.as_ref().is_some_and(|body| body.lossy);
        self.extra_json.append_option(extra::of_attempt(ended, lossy));
        body.map_or(0, |body| body.text.len())
    }
}

/// What a row takes beside its texts, roughly.
const ROW_BYTES: usize = 256;

/// A body as a column can hold it.
struct Response<'a> {
    text: std::borrow::Cow<'a, str>,
    lossy: bool,
}

impl Response<'_> {
    fn of(body: &[u8]) -> Response<'_> {
        // Nearly all are text, and to see that is much faster than to look for what is none.
        match std::str::from_utf8(body) {
            Ok(text) => Response { text: text.into(), lossy: false },
            Err(_) => Response { text: String::from_utf8_lossy(body), lossy: true },
        }
    }
}

fn is_check(code: ErrorCode) -> bool {
    use ErrorCode::{CheckFailed, NotJson, RegexMismatch, SchemaMismatch};
    matches!(code, NotJson | SchemaMismatch | RegexMismatch | CheckFailed)
}

fn duration_ms(ended: &Ended) -> i64 {
    i64::try_from(ended.ended_at.since(ended.started_at).as_millis()).unwrap_or(i64::MAX)
}

/// Days since 1970-01-01 UTC.
fn date(at: Timestamp) -> i32 {
    const DAY: i64 = 86_400_000_000;
    i32::try_from(at.micros().div_euclid(DAY)).unwrap_or(i32::MAX)
}

fn one_based(step: u8) -> i16 {
    i16::from(step) + 1
}

fn short(number: u64) -> i16 {
    i16::try_from(number).unwrap_or(i16::MAX)
}

fn long(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Nano-dollars; a provider's absurd figure ends at the largest number instead of ending the program.
fn nano(amount: Usd) -> i64 {
    const MOST: i128 = i64::MAX as i128 * 1_000;
    Usd::from_pico(amount.pico().clamp(-MOST, MOST)).nano()
}

/// The float beside [`nano`]: the same number, for analysis.
fn usd(amount: Usd) -> f64 {
    nano(amount) as f64 / 1e9
}

/// Micro-dollars to dollars per million tokens.
fn per_million(price: Option<u64>) -> f64 {
    price.unwrap_or(0) as f64 / 1e6
}

/// A timestamp column in UTC.
struct TimeBuilder(TimestampMicrosecondBuilder);

impl Default for TimeBuilder {
    fn default() -> TimeBuilder {
        TimeBuilder(TimestampMicrosecondBuilder::new().with_data_type(schema::time()))
    }
}

impl TimeBuilder {
    fn append(&mut self, at: Option<Timestamp>) {
        self.0.append_option(at.map(Timestamp::micros));
    }

    fn finish(&mut self) -> TimestampMicrosecondArray {
        self.0.finish()
    }
}

/// A column of tags.
struct TagsBuilder(MapBuilder<StringBuilder, StringBuilder>);

impl Default for TagsBuilder {
    fn default() -> TagsBuilder {
        let (key, value) = schema::tag_fields();
        let names = MapFieldNames {
            entry: "key_value".to_owned(),
            key: key.name().clone(),
            value: value.name().clone(),
        };
        let builder = MapBuilder::new(Some(names), StringBuilder::new(), StringBuilder::new());
        TagsBuilder(builder.with_keys_field(key).with_values_field(value))
    }
}

impl TagsBuilder {
    fn append(&mut self, tags: &[(String, String)]) {
        for (key, value) in tags {
            self.0.keys().append_value(key);
            self.0.values().append_value(value);
        }
        self.0.append(true).expect("as many keys as values");
    }

    fn finish(&mut self) -> arrow::array::MapArray {
        self.0.finish()
    }
}
