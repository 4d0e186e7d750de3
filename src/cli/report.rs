//! `overnight report [JOB…]`: what was done, what failed, what it cost, who spent it and what it saved.
//!
//! Every row of the jobs and their retries is read once. A retry belongs to the job it repeats: its calls
//! cost extra, its items take the place of those that failed.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use super::args::ReportArgs;
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::items::json;
use super::rows::{Chain, Rows};
use super::style::{Line, Paint};
use crate::catalog::names::{did_you_mean, nearest};
use crate::clock::Timestamp;
use crate::job::{ItemIndex, JobId};
use crate::report::against::Against;
use crate::report::attribution::{Attribution, Books};
use crate::report::by::Key;
use crate::report::chart::{Ink, picture};
use crate::report::page::samples::Sample;
use crate::report::page::{self, poster};
use crate::report::render::render_report;
use crate::report::row::ResultRow;
use crate::report::{JobReport, Report, Tally, breakdown, needs};
use crate::results::folder::Folder;
use crate::results::read;
use crate::results::select::{Filter, Link, Selection, Texts};
use crate::view::JobView;

/// How far back goes a report that was not told.
pub(super) const A_DAY: Duration = Duration::from_secs(86_400);

/// Reports on these jobs and their retries, or on all of late.
pub fn run(args: &ReportArgs, context: &Context) -> Result<Exit, CliError> {
    let kind = args.output.as_deref().map(Kind::of).transpose()?;
    let now = context.setting().now;
    let mut rows = Rows::open(context)?;
    let Gathered { report, all, samples } = read(args, &mut rows, context, Rows::chain)?;
    rows.close()?;
    for note in unseen(&args.by, &all) {
        context.note(&Line::new().add(Paint::Warn, note));
    }
    if let Some((kind, path)) = kind.zip(args.output.as_deref()) {
        fs::write(path, kind.bytes(&report, &all, &samples, now)?)
            .map_err(|error| cannot_write(path, &error))?;
    }
    tell(&report, &all, args, context)?;
    Ok(Exit::Done)
}

/// Reads the rows of the jobs that are asked for, which `chain_of` makes out, and adds them up.
pub(crate) fn read(
    args: &ReportArgs,
    rows: &mut Rows,
    context: &Context,
    chain_of: impl Fn(&mut Rows, &Context, &JobId) -> Result<Chain, CliError>,
) -> Result<Gathered, CliError> {
    let now = context.setting().now;
    let asked: Vec<JobId> = match args.jobs.is_empty() {
        true => lately(&rows.views, now, args.since.unwrap_or(A_DAY)),
        false => args.jobs.iter().map(|asked| rows.find(asked)).collect::<Result<_, _>>()?,
    };
    gather(rows, asked, (&args.by, args.samples), context, now, chain_of)
}

/// What a report shows.
pub(crate) struct Gathered {
    /// The jobs, and what their rows add up to.
    pub(crate) report: Report,
    /// The same sums, by whatever was asked for.
    pub(crate) all: Attribution,
    /// Items to show.
    pub(crate) samples: Vec<Sample>,
}

/// Reads every row of these jobs and their retries once.
pub(super) fn gather(
    rows: &mut Rows,
    mut asked: Vec<JobId>,
    (by, samples): (&[Key], usize),
    context: &Context,
    now: Timestamp,
    chain_of: impl Fn(&mut Rows, &Context, &JobId) -> Result<Chain, CliError>,
) -> Result<Gathered, CliError> {
    // A retry is read with the job it repeats, so that job comes first.
    asked.sort_by_key(|job| rows.view(job).map(|view| view.submitted_at));
    let catalog = &context.config()?.catalog;
    let mut reading = Reading {
        jobs: Vec::new(),
        books: Books::new(by, Against::new(catalog)),
        missing: 0,
        wanted: Wanted { most: samples, places: BTreeMap::new() },
        now,
    };
    for job in &asked {
        if reading.jobs.iter().all(|report| report.job_id != *job) {
            let chain = chain_of(rows, context, job)?;
            reading.read(rows, &chain)?;
        }
    }
    let samples = reading.wanted.samples(rows)?;
    let Reading { jobs, books, missing, .. } = reading;
    let all = books.close(missing);
    let seen = jobs.iter().filter_map(|job| rows.view(&job.job_id));
    let needs = needs::of(seen);
    Ok(Gathered { report: Report::new(jobs).with(all.clone()).needing(needs), all, samples })
}

fn tell(report: &Report, all: &Attribution, args: &ReportArgs, context: &Context) -> Result<(), CliError> {
    if context.globals.json {
        return context.print(&json(report)?);
    }
    let shown = match (report.jobs.is_empty(), args.by.is_empty()) {
        (true, _) => "no jobs in that time; --since 7d looks further back\n".to_owned(),
        (false, true) => format!("{}\n{}", render_report(report), breakdown::render(all)),
        (false, false) => breakdown::render(all),
    };
    context.print(&shown)?;
    match args.output.as_deref() {
        Some(path) => context.print(&format!("wrote {} ({})\n", path.display(), Kind::of(path)?.says())),
        None => Ok(()),
    }
}

/// Jobs that anything can have happened to since.
pub(super) fn lately(views: &[JobView], now: Timestamp, since: Duration) -> Vec<JobId> {
    let from = now - since;
    let recent = views.iter().filter(|view| view.finished_at.is_none_or(|finished| finished >= from));
    recent.map(|view| view.job_id.clone()).collect()
}

/// Rows being read.
struct Reading<'a> {
    jobs: Vec<JobReport>,
    books: Books<'a>,
    missing: u64,
    wanted: Wanted,
    now: Timestamp,
}

impl Reading<'_> {
    fn read(&mut self, rows: &Rows, chain: &Chain) -> Result<(), CliError> {
        self.missing += chain.missing;
        for link in &chain.links {
            let Some(view) = rows.view(&link.job) else { return Err(only_rows(&link.job)) };
            self.books.against().add(link.job.as_str(), view.submitted_at, strongest(rows, view));
            let tally = self.attempts(&rows.folder, link)?;
            // Rows that are gone would make the routes look idle; the ledger still knows them.
            let tally = (chain.missing == 0).then_some(tally);
            self.jobs.push(JobReport::new(view, tally, self.now));
        }
        let selection = Selection::results(&rows.folder, &chain.links, &Filter::default())?;
        for row in read::results(&selection, Texts::Without) {
            let row = row?;
            self.books.add_item(&row);
            self.wanted.see(&row);
        }
        Ok(())
    }

    fn attempts(&mut self, folder: &Folder, link: &Link) -> Result<Tally, CliError> {
        let selection = Selection::attempts(folder, std::slice::from_ref(link), &Filter::default())?;
        let mut tally = Tally::default();
        for attempt in read::attempts(&selection, Texts::Without) {
            let attempt = attempt?;
            tally.add(&attempt);
            self.books.add_attempt(&attempt);
        }
        Ok(tally)
    }
}

/// The models of the last step of a job's ladders; where they are not known any more, all it asked.
fn strongest(rows: &Rows, view: &JobView) -> Vec<String> {
    let header = rows.prompts.has(&view.job_id).then(|| rows.prompts.job(&view.job_id));
    match header {
        Some(Ok(job)) => {
            job.classes.iter().filter_map(|class| class.ladder.0.last()).flatten().cloned().collect()
        }
        Some(Err(_)) | None => {
            let models = view.routes.iter().filter_map(|route| route.route.split(' ').next());
            models.map(str::to_owned).collect()
        }
    }
}

/// Items to show, by how they ended.
struct Wanted {
    most: usize,
    places: BTreeMap<String, Vec<Place>>,
}

struct Place {
    job: JobId,
    item: ItemIndex,
    custom_id: String,
}

impl Wanted {
    fn see(&mut self, row: &ResultRow) {
        if self.most == 0 {
            return;
        }
        let reason = row.error_code.clone().unwrap_or_default();
        let places = self.places.entry(reason).or_default();
        if places.len() < self.most {
            let (job, custom_id) = (JobId::new(row.job_id.as_str()), row.custom_id.clone());
            places.push(Place { job, item: row.item_index, custom_id });
        }
    }

    /// Failures first, in order of their reasons; prompts that were removed are left out.
    fn samples(&self, rows: &Rows) -> Result<Vec<Sample>, CliError> {
        let failures_first = |reason: &str| (reason.is_empty(), reason.to_owned());
        let mut places: Vec<(&String, &Vec<Place>)> = self.places.iter().collect();
        places.sort_by_key(|(reason, _)| failures_first(reason));
        let mut samples = Vec::new();
        for place in places.into_iter().flat_map(|(_, places)| places) {
            let (row, _) = read::item(&rows.folder, &[Link::all(place.job.clone())], &place.custom_id)?;
            let Some(row) = row else { continue };
            let item = match rows.prompts.has(&place.job) {
                true => rows.prompts.reader().read(&place.job, &[place.item])?.pop(),
                false => None,
            };
            samples.push(Sample {
                job_id: row.job_id,
                custom_id: row.custom_id,
                status: row.status,
                reason: row.error_code,
                message: row.error_message,
                prompt: item.map(|item| String::from_utf8_lossy(&item.body.json).into_owned()),
                answer: row.output_text,
            });
        }
        Ok(samples)
    }
}

/// Tags that were asked for and that nothing carries: most likely a slip.
fn unseen(by: &[Key], all: &Attribution) -> Vec<String> {
    let unseen = by.iter().filter_map(|key| match key {
        Key::Tag(tag) if !all.tags.contains(tag) && all.total.attempts + all.total.items > 0 => Some(tag),
        _ => None,
    });
    let known = || all.tags.iter().map(String::as_str);
    let seen = known().map(crate::escape::plain).collect::<Vec<_>>().join(", ");
    let note = |tag: &String| {
        let suggestion = did_you_mean(nearest(tag, known()));
        let seen =
            if seen.is_empty() { "nothing is tagged".to_owned() } else { format!("tags seen: {seen}") };
        format!("nothing carries the tag {tag:?}{}; {seen}", crate::escape::plain(&suggestion))
    };
    unseen.map(note).collect()
}

/// What kind of file is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Html,
    Png,
    Csv,
    Json,
}

impl Kind {
    fn of(path: &Path) -> Result<Kind, CliError> {
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_lowercase();
        match ending.as_str() {
            "html" | "htm" => Ok(Kind::Html),
            "png" => Ok(Kind::Png),
            "csv" => Ok(Kind::Csv),
            "json" => Ok(Kind::Json),
            _ => Err(CliError::usage(format!(
                "the name {} does not say which kind of report is wanted",
                path.display()
            ))
            .hint("let it end in .html, .png, .csv or .json")),
        }
    }

    fn says(self) -> &'static str {
        match self {
            Kind::Html => "one file, no external requests",
            Kind::Png => "one picture",
            Kind::Csv => "one row a group",
            Kind::Json => "overnight.report/1",
        }
    }

    fn bytes(
        self,
        report: &Report,
        all: &Attribution,
        samples: &[Sample],
        now: Timestamp,
    ) -> Result<Vec<u8>, CliError> {
        Ok(match self {
            Kind::Html => page::html(report, all, samples, now).into_bytes(),
            Kind::Png => {
                picture::png(&poster::poster(report, all, now, Ink::Outlines)).map_err(anyhow::Error::from)?
            }
            Kind::Csv => breakdown::csv(all).map_err(anyhow::Error::from)?,
            Kind::Json => json(report)?.into_bytes(),
        })
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new("output", Exit::Unexpected, format!("cannot write {}: {error}", path.display()))
}

fn only_rows(job: &JobId) -> CliError {
    CliError::new("no_such_job", Exit::NotFound, format!("the prompts and totals of {job} were removed"))
        .hint(format!("its rows are still there: overnight results {job}"))
}
