//! Tiles and charts of a report on one picture, for a chat or a slide.
//!
//! Pure.

use crate::clock::Timestamp;
use crate::report::Report;
use crate::report::attribution::Attribution;
use crate::report::chart::board::Board;
use crate::report::chart::{Chart, Ink};
use crate::report::page::drawings::Drawings;
use crate::report::page::{subtitle, tiles, title};

const WIDTH: f32 = 1_200.0;
const WIDE: f32 = 1_080.0;
const HALF: f32 = 514.0;

/// The picture: `ink` says whether it can rely on fonts.
pub fn poster(report: &Report, all: &Attribution, made_at: Timestamp, ink: Ink) -> Chart {
    let drawings = Drawings::new(all, [WIDE, HALF], ink);
    let mut board = Board::new(WIDTH, ink);
    board.head(&title(report), &subtitle(report, all, made_at));
    let tiles = tiles::tiles(report, all);
    let tiles: Vec<([&str; 3], bool)> =
        tiles.iter().map(|tile| ([tile.name, &tile.value, &tile.note], tile.is_good)).collect();
    board.tiles(&tiles);
    board.row(&[drawings.hours.as_ref()]);
    board.row(&[drawings.levers.as_ref(), drawings.per_success.as_ref()]);
    board.row(&[drawings.latency.as_ref(), drawings.failures.as_ref()]);
    let spent = format!("{} spent on {} items", all.total.cost(), all.total.items);
    board.done(&title(report), &spent)
}
