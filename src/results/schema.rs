//! The columns of `results/1` and `attempts/1`, and how they are laid out in a Parquet file.
//!
//! The column list is fixed: a new fact goes to `extra_json` until the next version, so that a glob
//! over years of parts always has one schema. Writer settings follow what each column is for: pages
//! and row groups of everything that is filtered or joined on carry statistics, long texts carry
//! none, and only columns with few different values pay for a dictionary.
//!
//! Pure.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;

/// The two tables a job leaves behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// One row per item.
    Results,
    /// One row per upstream call.
    Attempts,
}

impl Table {
    /// Both, in the order they are written.
    pub const ALL: [Table; 2] = [Table::Results, Table::Attempts];

    /// Its folder, and the first half of its schema's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Table::Results => "results",
            Table::Attempts => "attempts",
        }
    }

    /// Name and version of its columns, as `overnight.schema` in every file.
    pub fn version(self) -> &'static str {
        match self {
            Table::Results => "results/1",
            Table::Attempts => "attempts/1",
        }
    }

    /// Its columns.
    pub fn schema(self) -> SchemaRef {
        static RESULTS: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(results())));
        static ATTEMPTS: LazyLock<SchemaRef> = LazyLock::new(|| Arc::new(Schema::new(attempts())));
        match self {
            Table::Results => RESULTS.clone(),
            Table::Attempts => ATTEMPTS.clone(),
        }
    }

    /// How its files are written; `about` is the file's key-value metadata.
    pub fn properties(self, about: Vec<KeyValue>) -> WriterProperties {
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVEL).expect("it is a level")))
            .set_max_row_group_row_count(Some(self.row_group_rows()))
            .set_max_row_group_bytes(Some(ROW_GROUP_BYTES))
            .set_data_page_size_limit(PAGE_BYTES)
            .set_statistics_enabled(EnabledStatistics::Page)
            .set_dictionary_enabled(false)
            .set_key_value_metadata(Some(about));
        for name in FEW_VALUES {
            properties = properties.set_column_dictionary_enabled(path(name), true);
        }
        for name in COUNTING {
            properties = properties.set_column_encoding(path(name), Encoding::DELTA_BINARY_PACKED);
        }
        for name in LONG_TEXTS {
            properties = properties.set_column_statistics_enabled(path(name), EnabledStatistics::None);
        }
        properties.build()
    }

    fn row_group_rows(self) -> usize {
        match self {
            Table::Results => 16_384,
            Table::Attempts => 131_072,
        }
    }
}

/// Of zstd. Each of the eighty columns that are open keeps tables of its own: at the usual third level they take
/// 5 MB more, for files that are 2% smaller.
const LEVEL: i32 = 1;

/// The writer makes room for a whole page each time it compresses one: in pages of the usual mebibyte the
/// kernel clears more memory for that than the rows take.
const PAGE_BYTES: usize = 64 << 10;

/// A row group lives in memory until it is full; rows with very long answers make shorter groups.
const ROW_GROUP_BYTES: usize = 16 << 20;

/// Long or never compared: statistics would only copy prompts into the footer.
const LONG_TEXTS: [&str; 6] =
    ["output_text", "response_json", "input_json", "error_message", "check_message", "extra_json"];

/// Few different values in a file.
const FEW_VALUES: [&str; 29] = [
    "job_id",
    "status",
    "job_name",
    "error_code",
    "finish_reason",
    "provider",
    "request_model",
    "response_model",
    "endpoint",
    "lane",
    "price_window",
    "price_id",
    "upstream_batch_id",
    "escalation_reason",
    "cost_basis",
    "step",
    "attempt",
    "attempts",
    "priority",
    "http_status",
    "input_price_usd_per_mtok",
    "output_price_usd_per_mtok",
    "submitted_at",
    "deadline_at",
    "ended_date",
    "retry_after_ms",
    "tags.key_value.key",
    "tags.key_value.value",
    "first_token_at",
];

/// Integers near their neighbours: their differences are small.
const COUNTING: [&str; 14] = [
    "item_index",
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
    "cost_nano_usd",
    "list_cost_nano_usd",
    "queued_at",
    "started_at",
    "ended_at",
    "latency_ms",
    "duration_ms",
    "ended_date",
];

/// Keys of the key-value metadata of every file.
pub mod key {
    /// `results/1` or `attempts/1`.
    pub const SCHEMA: &str = "overnight.schema";
    /// The version of the program.
    pub const VERSION: &str = "overnight.version";
    /// The job as JSON: id, name, source, options.
    pub const JOB: &str = "overnight.job";
    /// Id and SHA-256 of the price catalog.
    pub const PRICE_CATALOG: &str = "overnight.price_catalog";
    /// When the file was completed.
    pub const WRITTEN_AT: &str = "overnight.written_at";
}

fn path(name: &str) -> ColumnPath {
    ColumnPath::new(name.split('.').map(str::to_owned).collect())
}

/// The type of all timestamps: microseconds in UTC.
pub(super) fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// The one field of a tags entry; the names are those of the Parquet specification.
pub(super) fn tag_fields() -> (Field, Field) {
    (Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true))
}

fn tags() -> DataType {
    let (key, value) = tag_fields();
    let entries = DataType::Struct(Fields::from(vec![key, value]));
    DataType::Map(Arc::new(Field::new("key_value", entries, false)), false)
}

fn always(kind: DataType, names: &[&str]) -> Vec<Field> {
    names.iter().map(|name| Field::new(*name, kind.clone(), false)).collect()
}

fn maybe(kind: DataType, names: &[&str]) -> Vec<Field> {
    names.iter().map(|name| Field::new(*name, kind.clone(), true)).collect()
}

const TOKENS: [&str; 5] = [
    "input_tokens",
    "cache_read_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
];

fn results() -> Vec<Field> {
    use DataType::{Boolean, Date32, Float64, Int16, Int64, Utf8};
    [
        always(Utf8, &["job_id", "custom_id", "status"]),
        maybe(Utf8, &["job_name"]),
        always(Int64, &["item_index"]),
        maybe(Utf8, &["error_code", "error_message", "finish_reason"]),
        maybe(Utf8, &["output_text", "response_json", "input_json"]),
        maybe(Boolean, &["valid"]),
        maybe(Utf8, &["provider", "request_model", "response_model", "lane", "price_window"]),
        maybe(Int16, &["step"]),
        always(Int16, &["attempts", "priority"]),
        always(Int64, &TOKENS),
        always(Float64, &["cost_usd"]),
        always(Int64, &["cost_nano_usd", "list_cost_nano_usd"]),
        always(Utf8, &["cost_basis"]),
        always(time(), &["submitted_at", "ended_at"]),
        maybe(time(), &["started_at", "deadline_at"]),
        always(Date32, &["ended_date"]),
        maybe(Boolean, &["deadline_met"]),
        maybe(Int64, &["latency_ms"]),
        always(tags(), &["tags"]),
        maybe(Utf8, &["extra_json"]),
    ]
    .concat()
}

fn attempts() -> Vec<Field> {
    use DataType::{Date32, Float64, Int16, Int64, Utf8};
    [
        always(Utf8, &["attempt_id", "job_id", "custom_id", "status"]),
        maybe(Utf8, &["error_code", "error_message"]),
        always(Int64, &["item_index"]),
        always(Int16, &["attempt", "step"]),
        maybe(Int16, &["http_status"]),
        always(Utf8, &["provider", "request_model"]),
        maybe(Utf8, &["response_model"]),
        always(Utf8, &["endpoint", "lane", "price_window", "price_id"]),
        maybe(Utf8, &["upstream_request_id", "upstream_batch_id", "finish_reason"]),
        maybe(Utf8, &["check_message", "escalation_reason"]),
        maybe(Int64, &TOKENS),
        always(Float64, &["input_price_usd_per_mtok", "output_price_usd_per_mtok"]),
        always(Float64, &["cost_usd"]),
        always(Int64, &["cost_nano_usd", "list_cost_nano_usd"]),
        always(Utf8, &["cost_basis"]),
        always(time(), &["queued_at", "started_at"]),
        maybe(time(), &["first_token_at"]),
        always(time(), &["ended_at"]),
        always(Date32, &["ended_date"]),
        always(Int64, &["duration_ms"]),
        maybe(Int64, &["retry_after_ms"]),
        maybe(Utf8, &["response_json", "extra_json"]),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change here breaks every reader of older parts: it needs a new version instead.
    #[test]
    fn the_columns_of_version_1_never_change() {
        let shown: Vec<String> = Table::ALL.map(describe).into();
        insta::assert_snapshot!(shown.join("\n"));
    }

    fn describe(table: Table) -> String {
        let schema = table.schema();
        let columns = schema.fields().iter().map(|field| {
            let optional = if field.is_nullable() { "?" } else { "" };
            format!("  {}{optional}: {}\n", field.name(), field.data_type())
        });
        format!("{}\n{}", table.version(), columns.collect::<String>())
    }

    #[test]
    fn every_setting_names_a_column() {
        let leaves: Vec<String> = Table::ALL
            .iter()
            .flat_map(|table| {
                let schema = table.schema();
                let converter = parquet::arrow::ArrowSchemaConverter::new();
                let parquet = converter.convert(&schema).unwrap();
                parquet.columns().iter().map(|column| column.path().string()).collect::<Vec<_>>()
            })
            .collect();
        for name in FEW_VALUES.iter().chain(&COUNTING).chain(&LONG_TEXTS) {
            assert!(leaves.iter().any(|leaf| leaf == name), "{name}");
        }
    }
}
