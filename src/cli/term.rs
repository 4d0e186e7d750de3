//! The terminal we are on: colours, size, and whether progress may be drawn.
//!
//! Shell: asks the environment once at the start; everything else is told.

use std::io::IsTerminal;

use super::style::ColorWhen;

/// Width assumed where nobody can say.
const WIDTH: u16 = 100;
/// Height assumed where nobody can say.
const HEIGHT: u16 = 40;

/// One output stream as a terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Terminal {
    /// Lines may be drawn over.
    pub is_live: bool,
    /// Colours are wanted.
    pub colour: bool,
    /// Nothing but errors is wanted.
    pub quiet: bool,
    /// Columns.
    pub width: u16,
    /// Rows.
    pub height: u16,
}

impl Terminal {
    /// The standard error stream: progress, notes and errors go there.
    pub fn stderr(color: ColorWhen, no_progress: bool, quiet: bool) -> Terminal {
        let stream = std::io::stderr();
        let size = rustix::termios::tcgetwinsize(&stream).ok();
        let dumb = std::env::var("TERM").is_ok_and(|term| term == "dumb");
        let is_live = stream.is_terminal() && !dumb && !no_progress && !quiet;
        Terminal::sized(is_live, colour(color, stream.is_terminal()), quiet, size)
    }

    /// The standard output stream: data goes there, uncut unless it is a terminal.
    pub fn stdout(color: ColorWhen) -> Terminal {
        let stream = std::io::stdout();
        let size = rustix::termios::tcgetwinsize(&stream).ok();
        let is_terminal = stream.is_terminal();
        Terminal::sized(is_terminal, colour(color, is_terminal), false, size)
    }

    fn sized(is_live: bool, colour: bool, quiet: bool, size: Option<rustix::termios::Winsize>) -> Terminal {
        let known = |cells: Option<u16>, assumed| cells.filter(|&cells| cells > 0).unwrap_or(assumed);
        Terminal {
            is_live,
            colour,
            quiet,
            width: known(size.map(|size| size.ws_col), WIDTH),
            height: known(size.map(|size| size.ws_row), HEIGHT),
        }
    }
}

fn colour(when: ColorWhen, is_terminal: bool) -> bool {
    let no_color = std::env::var("NO_COLOR").ok();
    let term = std::env::var("TERM").ok();
    when.on(is_terminal, no_color.as_deref(), term.as_deref())
}
