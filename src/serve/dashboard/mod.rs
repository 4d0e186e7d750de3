//! `/`: the dashboard, one page with its script and style, all of it in this program.
//!
//! The page knows nothing by itself: what it shows it asks of `/api/v1` with the token its reader gives it,
//! so it is given to everybody. It makes no element of a text, and its policy lets nothing run that is not
//! here and nothing be asked elsewhere.
//!
//! | file of `assets/` | idea |
//! |---|---|
//! | `index.html`, `style.css` | the frame and its looks, of one family with the report |
//! | `app.js` | what is known, kept up to date by the events; which page is shown |
//! | `api.js` | requests and the stream of events, with the token |
//! | `dom.js`, `words.js` | elements of safe texts; numbers, money and times in words |
//! | `home.js`, `strip.js`, `routes.js` | the sections of the first page; the day ahead; the limits of routes |
//! | `jobs.js`, `job.js`, `trail.js` | the list of jobs; one job; one item |
//! | `charts.js`, `uplot.js` | lines over time, drawn by uPlot (MIT, its licence beside it) |

use axum::Router;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::response::IntoResponse;
use axum::routing::get;

use super::App;

/// What the page may do: nothing but what is here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// The frame, which every page begins with.
const FRAME: &str = include_str!("assets/index.html");

macro_rules! asset {
    ($name:literal, $kind:expr) => {
        (concat!("/assets/", $name), $kind, include_str!(concat!("assets/", $name)))
    };
}

/// Everything the frame names.
const ASSETS: [(&str, &str, &str); 15] = [
    asset!("style.css", CSS),
    asset!("uplot.css", CSS),
    asset!("app.js", JS),
    asset!("api.js", JS),
    asset!("dom.js", JS),
    asset!("words.js", JS),
    asset!("home.js", JS),
    asset!("strip.js", JS),
    asset!("routes.js", JS),
    asset!("jobs.js", JS),
    asset!("job.js", JS),
    asset!("trail.js", JS),
    asset!("charts.js", JS),
    asset!("uplot.js", JS),
    asset!("icon.svg", "image/svg+xml"),
];

/// The routes of this folder.
pub(super) fn routes() -> Router<App> {
    let pages = Router::new().route("/", get(frame)).route("/jobs/{job_id}", get(frame));
    ASSETS.into_iter().fold(pages, |router, (path, kind, text)| {
        router.route(path, get(move || async move { answer(kind, text) }))
    })
}

/// Whether a path is of the page or what it is made of.
pub(super) fn is_page(path: &str) -> bool {
    path == "/" || path.starts_with("/jobs/") || path.starts_with("/assets/")
}

async fn frame() -> impl IntoResponse {
    answer(HTML, FRAME)
}

fn answer(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers = [
        (CONTENT_TYPE, kind),
        // A daemon of another version has other ones.
        (CACHE_CONTROL, "no-cache"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (REFERRER_POLICY, "no-referrer"),
    ];
    (headers, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What could make an element, or code, of a text.
    const FORBIDDEN: [&str; 7] = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "new Function",
        "style=\"",
    ];

    #[test]
    fn texts_never_become_elements() {
        let ours = ASSETS.iter().filter(|(path, ..)| !path.contains("uplot"));
        for (path, _, text) in ours.chain([&("/", HTML, FRAME)]) {
            for word in FORBIDDEN {
                assert!(!text.contains(word), "{path} has {word}");
            }
        }
    }

    #[test]
    fn everything_that_is_named_is_here() {
        for (path, _, text) in ASSETS.iter().chain([&("/", HTML, FRAME)]) {
            assert!(!text.contains("http://") || path.contains("uplot") || path.ends_with("svg"), "{path}");
            let named = text.split(['"', '\'']).filter(|word| word.starts_with("/assets/"));
            for name in named {
                assert!(ASSETS.iter().any(|(known, ..)| *known == name), "{path} names {name}");
            }
        }
    }
}
