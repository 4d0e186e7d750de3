//! One value of any column, for the formats that are written cell by cell.
//!
//! Pure.

use std::fmt::Write as _;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, Float64Type, Int16Type, Int64Type, TimestampMicrosecondType};
use chrono::NaiveDate;
use serde_json::{Map, Value};

use crate::clock::Timestamp;

/// A value as text formats can say it.
pub(super) enum Cell<'a> {
    Null,
    Text(&'a str),
    Bool(bool),
    Int(i64),
    Float(f64),
    /// Days since 1970-01-01.
    Date(i32),
    Time(Timestamp),
    Tags(Map<String, Value>),
}

impl<'a> Cell<'a> {
    /// The value in one row of a column of ours.
    pub(super) fn of(column: &'a ArrayRef, row: usize) -> Cell<'a> {
        if column.is_null(row) {
            return Cell::Null;
        }
        match column.data_type() {
            DataType::Utf8 => Cell::Text(column.as_string::<i32>().value(row)),
            DataType::Boolean => Cell::Bool(column.as_boolean().value(row)),
            DataType::Int64 => Cell::Int(column.as_primitive::<Int64Type>().value(row)),
            DataType::Int16 => Cell::Int(i64::from(column.as_primitive::<Int16Type>().value(row))),
            DataType::Float64 => Cell::Float(column.as_primitive::<Float64Type>().value(row)),
            DataType::Date32 => Cell::Date(column.as_primitive::<Date32Type>().value(row)),
            DataType::Timestamp(..) => {
                let micros = column.as_primitive::<TimestampMicrosecondType>().value(row);
                Cell::Time(Timestamp::from_micros(micros))
            }
            DataType::Map(..) => Cell::Tags(tags(column, row)),
            other => unreachable!("no column of ours is {other}"),
        }
    }

    /// As JSON; appended, because a line is built from many cells.
    pub(super) fn write_json(&self, out: &mut String) {
        match self {
            Cell::Null => out.push_str("null"),
            Cell::Text(text) => out.push_str(&json(text)),
            Cell::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
            Cell::Int(value) => append(out, value),
            Cell::Float(value) => out.push_str(&json(value)),
            Cell::Date(days) => append(out, format_args!("\"{}\"", date(*days))),
            Cell::Time(at) => append(out, format_args!("\"{at}\"")),
            Cell::Tags(tags) => out.push_str(&json(tags)),
        }
    }

    /// As a CSV cell before quoting; what is null is empty.
    pub(super) fn write_csv(&self, out: &mut String) {
        match self {
            Cell::Null => {}
            Cell::Text(text) => {
                if is_formula(text) {
                    out.push('\'');
                }
                out.push_str(text);
            }
            Cell::Date(days) => append(out, date(*days)),
            Cell::Time(at) => append(out, at),
            Cell::Tags(_) | Cell::Bool(_) | Cell::Int(_) | Cell::Float(_) => self.write_json(out),
        }
    }
}

/// Spreadsheets run what starts like this, whoever wrote it; a leading `'` makes it text.
fn is_formula(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r'])
}

fn tags(column: &ArrayRef, row: usize) -> Map<String, Value> {
    let entries = column.as_map().value(row);
    let keys = entries.column(0).as_string::<i32>();
    let values = entries.column(1).as_string::<i32>();
    (0..entries.len()).map(|entry| (keys.value(entry).to_owned(), values.value(entry).into())).collect()
}

fn date(days: i32) -> NaiveDate {
    NaiveDate::from_epoch_days(days).unwrap_or(NaiveDate::MAX)
}

fn json(value: &(impl serde::Serialize + ?Sized)) -> String {
    serde_json::to_string(value).expect("plain values are always JSON")
}

fn append(out: &mut String, value: impl std::fmt::Display) {
    write!(out, "{value}").expect("a string takes everything");
}
