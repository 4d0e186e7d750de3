//! A machine for a week: the daemon's clerk, engine, store and Parquet files on a clock that jumps.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use overnight::cli::context::Context;
use overnight::cli::daemon::clerk::{Clerk, Of, Submission, Task};
use overnight::cli::rows::Rows;
use overnight::cli::session::{self, Hold, Session};
use overnight::clock::Timestamp;
use overnight::engine::{Event, Notice};
use overnight::job::JobId;
use overnight::ledger::Ledger;
use overnight::money::Usd;
use overnight::provider::simulated::{Faults, Simulated};
use overnight::rehearse::night::{self, Night, PowerCut};
use overnight::results::folder::Folder;
use overnight::store::beside::Beside;
use overnight::view::{OddsView, Waiting};
use tempfile::TempDir;

use super::calendar::MINUTE;
use super::disk::{Parquet, Shelf};
use super::plot::{Cut, Plot};
use super::set_up::{config, context, provider, settings, write_prompts};

/// How often the clerk looks.
pub(super) const PACE: Duration = MINUTE;
/// How long calls in flight may go on when the daemon is to stop.
const DRAIN: Duration = Duration::from_secs(25);

/// A look of the clerk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Looked {
    pub(super) at: Timestamp,
    /// How long someone had been there without a break.
    pub(super) awake: Duration,
    /// Nobody was there before, or the machine slept.
    pub(super) after_gap: bool,
    /// Some job waited for a budget.
    pub(super) out_of_budget: bool,
    /// So it did, and nothing was in flight whose end could give money back.
    pub(super) stuck: bool,
}

/// A report, as it was told.
pub(super) struct Reported {
    pub(super) at: Timestamp,
    pub(super) data: serde_json::Value,
    /// What every job had cost, as it is shown, and when it ended.
    pub(super) jobs: BTreeMap<JobId, (Usd, Option<Timestamp>)>,
}

/// What runs while the daemon is there.
struct Running {
    clerk: Clerk,
    night: Night<Parquet, Shelf>,
    looked: Option<Timestamp>,
    slept: Duration,
}

/// The machine, and what was seen of it.
pub(super) struct Machine {
    home: TempDir,
    context: Context,
    running: Option<Running>,
    provider: Option<Simulated>,
    /// When the daemon was last there.
    now: Timestamp,
    cuts: Vec<(Timestamp, Cut, Duration)>,
    sleeps: Vec<(Timestamp, Timestamp)>,
    pub(super) looks: Vec<Looked>,
    pub(super) reports: Vec<Reported>,
    /// Jobs that were said to be too much for their deadline.
    pub(super) too_late: BTreeSet<JobId>,
    /// When the daemon was started.
    pub(super) starts: Vec<Timestamp>,
    /// How the power went.
    pub(super) went: Vec<Cut>,
    /// What checks had taught when the daemon last stopped in good order.
    odds: Option<Vec<OddsView>>,
}

impl Machine {
    pub(super) fn new(plot: &Plot) -> Machine {
        write_prompts();
        let home = tempfile::tempdir().expect("a folder of our own");
        Machine {
            context: context(home.path(), &config(plot)),
            home,
            running: None,
            provider: Some(Simulated::new(provider(plot))),
            now: Timestamp::default(),
            cuts: plot.cuts.clone(),
            sleeps: plot.sleeps.clone(),
            looks: Vec::new(),
            reports: Vec::new(),
            too_late: BTreeSet::new(),
            starts: Vec::new(),
            went: Vec::new(),
            odds: None,
        }
    }

    pub(super) fn folder(&self) -> Folder {
        Folder::new(self.home.path().join("results"))
    }

    /// The provider, while the daemon is away.
    pub(super) fn provider(&self) -> &Simulated {
        self.provider.as_ref().expect("the daemon is away")
    }

    /// What a store that is opened anew knows.
    pub(super) fn ledger(&self) -> Ledger {
        let session = Session::open(&self.context).expect("nobody has the store");
        let ledger = session.ledger;
        session.store.close().expect("it closes");
        ledger
    }

    /// Schedules are taken out of the config, and nothing goes wrong any more.
    pub(super) fn calm(&mut self, plot: &Plot) {
        self.context = context(self.home.path(), &settings(plot));
        self.cuts.clear();
        self.sleeps.clear();
        self.provider.as_mut().expect("the daemon is away").set_faults(Faults::default());
    }

    /// The daemon is there from one moment to another: `overnight daemon --until`.
    pub(super) fn live(&mut self, from: Timestamp, until: Timestamp) {
        let mut now = from.max(self.now);
        loop {
            self.start(now);
            match self.work(until) {
                Ok(()) => break,
                Err(off) => now = self.power_cut(off),
            }
        }
        self.stop();
        let now = self.now;
        let message = {
            let mut clerk = Clerk::new(self.context.clone()).expect("the diary can be read");
            clerk.last_report(now).expect("the report is written")
        };
        if let Some(message) = message {
            let ledger = self.ledger();
            self.reported(now, &message.body, &ledger);
        }
    }

    fn start(&mut self, now: Timestamp) {
        let context = self.context.clone();
        let config = context.config().expect("it was given one");
        let session = Session::open(&context).expect("nobody has the store");
        let routes = session::all_routes(config, &session.ledger);
        let rows = Parquet { parts: session::parts(config).expect("the results folder is there"), now };
        let provider = self.provider.take().expect("the daemon is away");
        let shelf = Shelf(Hold::Ours(Box::new(session)));
        let mut night = Night::over(shelf, routes, provider, rows, now).expect("the store recovers");
        night.sync_time = Duration::from_millis(20);
        let clerk = Clerk::new(context.clone()).expect("the diary can be read");
        night.event(Event::Budgets(Box::new(session::limits_of(config)))).expect("no cut is planned");
        self.running = Some(Running { clerk, night, looked: None, slept: Duration::ZERO });
        self.starts.push(now);
        if let Some(odds) = self.odds.take() {
            let known = OddsView::all(self.running().night.engine.ledger());
            assert_eq!(known, odds, "what checks taught is known after a restart");
        }
    }

    fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect("the daemon is there")
    }

    /// Works until then, or until the power goes: for how long.
    fn work(&mut self, until: Timestamp) -> Result<(), Duration> {
        loop {
            let now = self.running().night.now();
            if let Some(at) = self.sleeps.iter().position(|&(from, _)| from <= now) {
                let (_, to) = self.sleeps.remove(at);
                let running = self.running();
                running.slept += to.since(now);
                running.night.sleep(to);
            }
            let cut = self.cuts.iter().position(|&(at, ..)| at <= now).map(|at| self.cuts[at]);
            if let Some((_, Cut::Write(writes), _)) = cut
                && self.running().night.cut_at.is_none()
            {
                let night = &mut self.running().night;
                night.cut_at = Some(night.writes + writes);
            }
            let looked = self.look(cut.map(|(_, how, _)| how));
            let now = self.running().night.now();
            if looked.is_ok() && now >= until {
                return Ok(());
            }
            let to = (now + PACE).min(until.max(now));
            if looked.is_err() || self.running().night.advance(to).is_err() {
                let (_, how, off) = cut.expect("a cut was planned");
                self.went.push(how);
                self.cuts.remove(0);
                return Err(off);
            }
        }
    }

    /// One round of the daemon's attendant, and of the thread that writes parts.
    fn look(&mut self, cut: Option<Cut>) -> Result<(), PowerCut> {
        self.write_due_parts()?;
        let running = self.running();
        let now = running.night.now();
        let slept = std::mem::take(&mut running.slept);
        let awake = running.looked.map_or(Duration::ZERO, |last| now.since(last).saturating_sub(slept));
        let after_gap = running.looked.is_none() || !slept.is_zero();
        running.looked = Some(now);
        let views = match running.night.is_over() {
            true => Vec::new(),
            false => running.night.engine.views(now),
        };
        let out_of_budget = views.iter().any(|view| view.waiting.contains_key(&Waiting::Budget));
        let stuck = out_of_budget && running.night.engine.in_flight() == 0;
        let tasks = running.clerk.due(now, awake).expect("the diary can be written");
        self.looks.push(Looked { at: now, awake, after_gap, out_of_budget, stuck });
        for task in tasks {
            match task {
                Task::Submit(task) => self.submit(&task, cut)?,
                Task::Report(of) => self.report(&of)?,
            }
        }
        Ok(())
    }

    fn submit(&mut self, task: &Submission, cut: Option<Cut>) -> Result<(), PowerCut> {
        if cut == Some(Cut::FiringNoted) {
            return Err(PowerCut);
        }
        let diary = self.home.path().join("state/daemon.json");
        let noted = fs::read(&diary).expect("the diary is there");
        let running = self.running();
        let (now, hold) = (running.night.now(), &mut running.night.store.0);
        running.clerk.submit(task, now, hold).unwrap_or_else(|error| panic!("{}", error.human(false)));
        if cut == Some(Cut::JobsThere) {
            // Its last write did not make it to the disk.
            fs::write(&diary, noted).expect("the diary can be written");
            return Err(PowerCut);
        }
        let known = running.night.store.session().ledger.jobs().map(|(job, _)| job.clone());
        for job in known.collect::<Vec<_>>() {
            if running.night.engine.ledger().get(&job.id).is_none() {
                running.night.accepted(job)?;
            }
        }
        running.night.event(Event::Tick)
    }

    fn write_due_parts(&mut self) -> Result<(), PowerCut> {
        let running = self.running();
        let now = running.night.now();
        let due = running.night.rows.parts.due(now);
        due.iter().try_for_each(|job| self.write_parts(job))
    }

    fn write_parts(&mut self, job: &JobId) -> Result<(), PowerCut> {
        let night = &mut self.running().night;
        let now = night.now();
        while let Some(part) = night::Rows::close(&mut night.rows, job, now) {
            night.event(Event::PartCommitted(part))?;
        }
        Ok(())
    }

    /// A report while the daemon works, for which the rows of unfinished jobs are written out.
    fn report(&mut self, of: &Of) -> Result<(), PowerCut> {
        let ledger = self.running().night.engine.ledger().clone();
        for (job, _) in ledger.jobs() {
            self.write_parts(&job.id)?;
        }
        let (folder, state) = (self.folder(), self.home.path().join("state"));
        let running = self.running();
        let now = running.night.now();
        let views = running.night.engine.views(now);
        let mut rows = Rows { folder, prompts: Beside::of(&state), views, hold: None };
        let message = running.clerk.report(of, now, &mut rows).expect("the report is written");
        self.reported(now, &message.body, &ledger);
        Ok(())
    }

    fn reported(&mut self, at: Timestamp, body: &str, ledger: &Ledger) {
        let mut document: serde_json::Value = serde_json::from_str(body).expect("it is JSON");
        let jobs =
            ledger.jobs().map(|(job, state)| (job.id.clone(), (state.shown_cost(), state.finished_at)));
        self.reports.push(Reported { at, data: document["data"].take(), jobs: jobs.collect() });
    }

    /// As `overnight daemon` stops: nothing new is sent, what is on its way is waited for.
    fn stop(&mut self) {
        let night = &mut self.running().night;
        night.cut_at = None;
        night.event(Event::Hold(true)).expect("no cut is planned");
        let until = night.now() + DRAIN;
        night.advance(until).expect("no cut is planned");
        self.now = until;
        let Running { night, .. } = self.running.take().expect("the daemon is there");
        self.odds = Some(OddsView::all(night.engine.ledger()));
        let Night { provider, store: Shelf(hold), notices, .. } = night;
        self.provider = Some(provider);
        self.hear(notices);
        let Hold::Ours(session) = hold else { unreachable!("it was opened here") };
        session.store.close().expect("it closes");
    }

    /// The power goes, with all that was not synced; when it is back.
    fn power_cut(&mut self, off: Duration) -> Timestamp {
        let Running { night, .. } = self.running.take().expect("the daemon is there");
        let now = night.now();
        let Night { provider, notices, .. } = night;
        self.provider = Some(provider);
        self.hear(notices);
        // The store is to believe that the machine went down, not only the process.
        fs::write(self.home.path().join("state/SESSION"), "dirty another-boot\n").expect("it can be written");
        now + off
    }

    fn hear(&mut self, notices: Vec<Notice>) {
        let too_late = notices.into_iter().filter_map(|notice| match notice {
            Notice::TooLate { job, .. } => Some(job),
            _ => None,
        });
        self.too_late.extend(too_late);
    }

    /// Where the report of a document is.
    pub(super) fn page(&self, report: &Reported) -> PathBuf {
        let name = report.data["report"].as_str().expect("it names its page");
        self.home.path().join("reports").join(name)
    }
}
