//! Log lines on stderr, and the last words of a panic.
//!
//! Only our own events are logged: libraries may print headers or bodies, which hold keys and prompts. A
//! panic's payload may hold either too, so only the place of a panic is ever printed.
//!
//! Shell.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::Write;
use std::panic::PanicHookInfo;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::args::Globals;

/// Starts to log on stderr: warnings, with `-v` what happens, with `-vv` how; a daemon one step more.
pub fn start(globals: &Globals, is_daemon: bool, colour: bool) {
    let filter = Targets::new().with_target("overnight", level(globals, is_daemon));
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_target(false);
    let registry = tracing_subscriber::registry().with(filter);
    // A second start in one process, as tests do, changes nothing.
    let _ = match globals.json {
        true => registry.with(lines.json()).try_init(),
        false => registry.with(lines.with_ansi(colour)).try_init(),
    };
}

fn level(globals: &Globals, is_daemon: bool) -> LevelFilter {
    match (globals.quiet, globals.verbose.saturating_add(u8::from(is_daemon))) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, _) => LevelFilter::DEBUG,
    }
}

/// From now on a panic says where it happened, and nothing of what it was about.
pub fn tame_panics() {
    std::panic::set_hook(Box::new(|info: &PanicHookInfo<'_>| {
        let place = info.location().map_or("an unknown place".to_owned(), ToString::to_string);
        let mut err = std::io::stderr();
        let _ = writeln!(err, "{}", last_words(&place));
        // Asked for with RUST_BACKTRACE=1; names of functions only.
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            let _ = writeln!(err, "{trace}");
        }
    }));
}

fn last_words(place: &str) -> String {
    format!(
        "error[bug]: overnight stopped at {place}: a fault of ours, please report this line; \
         what was queued is safe, and the same command can be run again"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quiet_wins_over_nothing_and_two_vs_say_more_than_one() {
        let globals = |quiet, verbose| Globals { quiet, verbose, ..Globals::default() };
        assert_eq!(level(&globals(true, 0), false), LevelFilter::ERROR);
        assert_eq!(level(&globals(false, 0), false), LevelFilter::WARN);
        assert_eq!(level(&globals(false, 0), true), LevelFilter::INFO);
        assert_eq!(level(&globals(false, 1), false), LevelFilter::INFO);
        assert_eq!(level(&globals(false, 9), false), LevelFilter::DEBUG);
    }
}
