//! `overnight windows`: what is cheap now, what opens next, and the next 24 hours as a strip a route.
//!
//! The strip begins with the present hour of the local clock, so that its hours are whole ones; `now`
//! stands over the half hour it is in.
//!
//! Shell: only for whether the terminal draws blocks. The rows are [`show::windows`].

use std::time::Duration;

use chrono::{DurationRound, TimeDelta, Timelike};

use super::args::WindowsArgs;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::format::{self, Zone};
use super::items::json;
use super::style::{Line, Paint, left};
use super::words::Setting;
use crate::catalog::show::{self, SHOWN, State, WindowRow, WindowsShown};
use crate::clock::Timestamp;

/// A cell of the strip.
const CELL: Duration = Duration::from_secs(30 * 60);
/// Cells between two hours that are named.
const HOURS: usize = 6;

/// Prints the windows.
pub fn run(args: &WindowsArgs, context: &Context) -> Result<Exit, CliError> {
    let (catalog, setting) = (&context.config()?.catalog, context.setting());
    let mut shown = show::windows(catalog, setting.now, args.all);
    if let Some(pattern) = &args.pattern {
        shown.keep(pattern);
    }
    match context.globals.json {
        true => context.print(&json(&shown)?)?,
        false => context.lines(&page(&shown, &setting, Glyphs::of_environment()))?,
    }
    Ok(Exit::Done)
}

/// What the cells are drawn with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Glyphs {
    Blocks,
    Ascii,
}

impl Glyphs {
    /// Blocks, unless the locale or the terminal has none.
    fn of_environment() -> Glyphs {
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let locale = set("LC_ALL").or_else(|| set("LC_CTYPE")).or_else(|| set("LANG"));
        Glyphs::of(locale.as_deref(), set("TERM").as_deref())
    }

    fn of(locale: Option<&str>, term: Option<&str>) -> Glyphs {
        // Where no locale is set, as in a container, nearly every terminal draws UTF-8 all the same.
        let is_utf8 = locale.is_none_or(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        });
        if is_utf8 && term != Some("dumb") { Glyphs::Blocks } else { Glyphs::Ascii }
    }

    fn of_state(self, state: State) -> &'static str {
        match (self, state) {
            (Glyphs::Blocks, State::Cheap) => "█",
            (Glyphs::Blocks, State::Dear) => "▒",
            (Glyphs::Blocks, State::Closed) => "·",
            (Glyphs::Ascii, State::Cheap) => "#",
            (Glyphs::Ascii, State::Dear) => "-",
            (Glyphs::Ascii, State::Closed) => ".",
        }
    }

    fn now(self) -> &'static str {
        if self == Glyphs::Blocks { "▼ now" } else { "v now" }
    }
}

fn paint(state: State) -> Paint {
    match state {
        State::Cheap => Paint::Good,
        State::Dear => Paint::Warn,
        State::Closed => Paint::Faint,
    }
}

fn page(shown: &WindowsShown, setting: &Setting, glyphs: Glyphs) -> Vec<Line> {
    if shown.windows.is_empty() {
        let message = "no price varies and no provider has hours; `windows` under [models] and `hours` under \
                       [providers] in overnight.toml set them, --all shows every route";
        return vec![Line::new().text(message)];
    }
    let width = shown.windows.iter().map(|row| row.label().chars().count()).max().unwrap_or(0);
    let first = first_cell(setting);
    let mut lines = summary(shown, setting);
    lines.push(Line::new());
    let now_cell = (setting.now.since(first).as_secs() / CELL.as_secs()) as usize;
    lines.push(Line::new().text(" ".repeat(width + 2 + now_cell)).add(Paint::Strong, glyphs.now()));
    let hours = hours(first, setting.zone);
    let offset = setting.moment(setting.now);
    let offset = offset.rsplit(' ').next().unwrap_or_default();
    lines.push(Line::new().text(" ".repeat(width + 2)).add(Paint::Faint, format!("{hours} {offset}")));
    for row in &shown.windows {
        lines.push(strip(row, first, setting.now, width, glyphs));
        lines.push(Line::new().text(" ".repeat(width + 2)).add(Paint::Faint, in_words(row, setting)));
    }
    let mut key = Line::new();
    for (state, words) in [(State::Cheap, "cheapest  "), (State::Dear, "dearer  "), (State::Closed, "closed")]
    {
        key = key.add(paint(state), glyphs.of_state(state)).text(format!(" {words}"));
    }
    lines.push(key);
    lines
}

/// The last whole hour of the local clock.
fn first_cell(setting: &Setting) -> Timestamp {
    let local = setting.zone.at(setting.now);
    // Read off the local clock: in some zones it is a half hour away from that of UTC.
    let offset = TimeDelta::seconds(local.offset().local_minus_utc().into());
    let shifted = setting.now.utc() + offset;
    let hour = shifted.duration_trunc(TimeDelta::hours(1)).unwrap_or(shifted);
    (hour - offset).into()
}

fn n_cells() -> usize {
    (SHOWN.as_secs() / CELL.as_secs()) as usize
}

/// The hour over every third hour of the strip: `19    22    01`.
fn hours(first: Timestamp, zone: Zone) -> String {
    let hour = |cell: usize| zone.at(first + CELL * cell as u32).hour();
    (0..n_cells()).step_by(HOURS).map(|cell| left(&format!("{:02}", hour(cell)), HOURS)).collect()
}

fn strip(row: &WindowRow, first: Timestamp, now: Timestamp, width: usize, glyphs: Glyphs) -> Line {
    // The half hour we are in shows what holds now, not what held when it began.
    let states = (0..n_cells()).map(|cell| row.state_at((first + CELL * cell as u32).max(now)));
    let states: Vec<State> = states.collect();
    let line = Line::new().add(Paint::Name, left(row.label(), width)).text("  ");
    let stretches = states.chunk_by(|a, b| a == b);
    stretches.fold(line, |line, stretch| {
        line.add(paint(stretch[0]), glyphs.of_state(stretch[0]).repeat(stretch.len()))
    })
}

/// What is cheap now, and what opens next.
fn summary(shown: &WindowsShown, setting: &Setting) -> Vec<Line> {
    let usable = || shown.windows.iter().filter(|row| row.unusable.is_none());
    let cheap: Vec<String> = usable()
        .filter(|row| row.state == State::Cheap)
        .map(|row| match row.until {
            Some(until) => format!("{} for {}", row.label(), format::rough(until.since(setting.now))),
            None => row.label().to_owned(),
        })
        .collect();
    let next = usable().filter_map(|row| Some((row.cheap_at?, row))).min_by_key(|&(at, _)| at);
    let mut lines = vec![match cheap.is_empty() {
        false => Line::new().add(Paint::Good, "cheap now   ").text(cheap.join(" · ")),
        true => Line::new().add(Paint::Warn, "cheap now   ").text("nothing that can be used"),
    }];
    if let Some((at, row)) = next {
        let wait = format::rough(at.since(setting.now));
        let words = format!("{} in {wait}, {}", row.label(), setting.moment(at));
        lines.push(Line::new().add(Paint::Strong, "opens next  ").text(words));
    }
    lines
}

/// `off-peak $0.15 / $0.60 until Mon 01:00 UTC, then peak $0.30 / $1.20 (in 13h)`.
fn in_words(row: &WindowRow, setting: &Setting) -> String {
    let named = |window: &str, price: &Option<String>| match price {
        Some(price) => format!("{window} {price}"),
        None => window.to_owned(),
    };
    let mut words = named(&row.window, &row.price);
    if let (Some(until), Some(next)) = (row.until, &row.next) {
        let (when, wait) = (setting.moment(until), format::rough(until.since(setting.now)));
        let next = named(next, &row.next_price);
        words.push_str(&format!(" until {when}, then {next} (in {wait})"));
    }
    if let Some(at) = row.cheap_at.filter(|&at| Some(at) != row.until) {
        let (when, wait) = (setting.moment(at), format::rough(at.since(setting.now)));
        words.push_str(&format!(", cheapest at {when} (in {wait})"));
    }
    if row.models.len() > 1 {
        words.push_str(&format!("   {}", row.models.join(", ")));
    }
    if let Some(why) = &row.unusable {
        words.push_str(&format!("   {why}"));
    }
    words
}

#[cfg(test)]
mod tests {
    use chrono::FixedOffset;

    use super::super::style;
    use super::*;
    use crate::catalog::testing::with_keys;

    fn setting(now: &str, hours: i32, minutes: i32) -> Setting {
        let zone = FixedOffset::east_opt(hours * 3_600 + minutes * 60).unwrap();
        Setting { now: now.parse().unwrap(), zone: Zone::Fixed(zone) }
    }

    fn lines(setting: &Setting, glyphs: Glyphs) -> Vec<String> {
        let shown = show::windows(&with_keys(&["deepseek"]), setting.now, false);
        let mut deepseek = shown.clone();
        deepseek.keep("deepseek/*");
        let text = style::print(&page(&deepseek, setting, glyphs), usize::MAX, false);
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_day_is_a_strip_of_half_hours() {
        // Sunday 18:40 UTC, which is 19:40 in Berlin: cheap until Monday 02:00 there.
        let setting = setting("2026-11-22T18:40:00Z", 1, 0);
        let lines = lines(&setting, Glyphs::Blocks);
        assert_eq!(lines[0], "cheap now   deepseek for 6h20m");
        assert_eq!(lines[2], "           ▼ now");
        assert_eq!(lines[3], "          19    22    01    04    07    10    13    16     +01:00");
        let day = [('█', 14), ('▒', 6), ('█', 4), ('▒', 8), ('█', 16)];
        let day: String = day.iter().map(|&(glyph, n)| glyph.to_string().repeat(n)).collect();
        assert_eq!(lines[4], format!("deepseek  {day}"));
        assert_eq!(
            lines[5].trim(),
            "off-peak $0.15 / $0.60 until Mon 02:00 +01:00, then peak $0.30 / $1.20 (in 6h20m)   \
             deepseek/deepseek-flash, deepseek/deepseek-v4-pro"
        );
    }

    #[test]
    fn what_opens_next_is_said_with_how_long_it_takes() {
        let lines = lines(&setting("2026-11-23T08:12:00Z", 10, 30), Glyphs::Ascii); // in the peak
        assert_eq!(lines[0], "cheap now   nothing that can be used");
        assert_eq!(lines[1], "opens next  deepseek in 1h48m, 20:30 +10:30");
        assert_eq!(lines[3], "           v now");
        assert!(lines[4].contains(" 18    21 "), "{}", lines[4]);
        assert!(lines[5].starts_with("deepseek  -----####"), "{}", lines[5]);
        assert_eq!(lines[7], "# cheapest  - dearer  . closed");
    }

    #[test]
    fn blocks_are_drawn_where_the_terminal_has_them() {
        for (locale, term, glyphs) in [
            (Some("en_GB.UTF-8"), Some("xterm"), Glyphs::Blocks),
            (None, None, Glyphs::Blocks),
            (Some("C"), Some("xterm"), Glyphs::Ascii),
            (Some("C.utf8"), Some("xterm"), Glyphs::Blocks),
            (Some("en_GB.UTF-8"), Some("dumb"), Glyphs::Ascii),
        ] {
            assert_eq!(Glyphs::of(locale, term), glyphs, "{locale:?} {term:?}");
        }
    }
}
