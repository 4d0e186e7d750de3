//! What others ask of the process that owns the store, and what they are told.
//!
//! Questions come over the local socket and from the HTTP API's threads, and are answered between two rounds
//! of the engine; what changes something is answered when the change is durable.
//!
//! Shell.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::parts::PartsOrder;
use super::writer::Order;
use super::{Driver, Reply};
use crate::clock::{self, Timestamp};
use crate::control::{RefusedCode, Request, Response};
use crate::engine::Event;
use crate::job::{Job, JobId};
use crate::metrics::{self, Seen};
use crate::record::{JobChange, Seq};
use crate::view::{JobView, OddsView, Waiting};

impl Driver {
    /// Answers, now or when it is done.
    pub(super) fn request(&mut self, request: Request, reply: Reply) {
        let known = request.job().is_none_or(|job| self.engine.ledger().get(job).is_some());
        match request {
            Request::Adopt { job } => self.adopt(job, known, reply),
            _ if !known => drop(reply.send(no_such_job(&request))),
            Request::Views => drop(reply.send(Response::Views(self.views(clock::now())))),
            Request::Budgets => {
                drop(reply.send(Response::Budgets(self.engine.budgets(clock::now()))));
            }
            Request::Metrics => drop(reply.send(Response::Metrics(self.metrics()))),
            Request::Allowances => drop(reply.send(Response::Allowances(self.engine.allowances()))),
            Request::Dispatch => {
                drop(reply.send(Response::Dispatch(self.engine.dispatch_views(clock::now()))));
            }
            Request::Odds => {
                drop(reply.send(Response::Odds(OddsView::all(self.engine.ledger()))));
            }
            Request::ResetOdds { class } => {
                self.event(Event::ResetOdds(class.map(Into::into)));
                self.changing.push_back((self.engine.ledger().globals.seq, reply));
            }
            Request::Remove { jobs } => {
                self.event(Event::Forget(jobs));
                let (done, removed) = oneshot::channel();
                self.outbox.order(Order::Removed(done));
                self.calls.spawn(async move {
                    if let Ok(removed) = removed.await {
                        let _ = reply.send(removed.map_or_else(
                            |why| Response::refused(RefusedCode::Failed, why),
                            |()| Response::Done,
                        ));
                    }
                });
            }
            Request::View { job } => {
                let view = self.view(&job, clock::now());
                drop(reply.send(Response::Views(view.into_iter().collect())));
            }
            Request::ViewsOf { jobs } => {
                let now = clock::now();
                let views = jobs.iter().filter_map(|job| self.view(job, now));
                drop(reply.send(Response::Views(views.collect())));
            }
            Request::Change { job, change } => self.change(job, change, reply),
            Request::Flush { job } => {
                let (done, is_done) = oneshot::channel();
                self.outbox.order(Order::Flush(job, done));
                self.calls.spawn(async move {
                    if is_done.await.is_ok() {
                        let _ = reply.send(Response::Done);
                    }
                });
            }
            Request::Reload => drop(reply.send(self.reload())),
            Request::Stop => {
                self.stop_asked = true;
                let _ = reply.send(Response::Done);
            }
        }
    }

    /// All jobs, as they are shown.
    pub(super) fn views(&mut self, now: Timestamp) -> Vec<JobView> {
        let mut views = self.engine.views(now);
        views.iter_mut().for_each(|view| self.explain(view));
        views
    }

    /// One of them.
    pub(super) fn view(&mut self, job: &JobId, now: Timestamp) -> Option<JobView> {
        let mut view = self.engine.view(job, now)?;
        self.explain(&mut view);
        Some(view)
    }

    /// Adds what the engine does not know: why it may not send.
    fn explain(&self, view: &mut JobView) {
        if let Some(why) = &self.full {
            view.held_up(Waiting::Disk, why);
        }
    }

    fn metrics(&mut self) -> String {
        let now = clock::now();
        let (views, budgets) = (self.views(now), self.engine.budgets(now));
        let (ledger, routes) = (self.engine.ledger(), self.engine.routes());
        metrics::render(&Seen { ledger, views: &views, budgets: &budgets, routes: &routes, now })
    }

    /// Puts another config in force, or says why the old one stays.
    fn reload(&mut self) -> Response {
        let Some(reload) = &mut self.reload else {
            let why = "the config is read once, at the start: stop this process and start it again";
            return Response::refused(RefusedCode::NotPossible, why);
        };
        let reloaded = match reload() {
            Ok(reloaded) => reloaded,
            Err(why) => return Response::refused(RefusedCode::Failed, why),
        };
        let mut routes = reloaded.routes;
        let unfinished = self.engine.ledger().jobs().filter(|(_, state)| state.finished_at.is_none());
        // Jobs may name routes that are in no list.
        for route in unfinished.flat_map(|(job, _)| (reloaded.routes_for)(job)) {
            if routes.iter().all(|known| known.name != route.name) {
                routes.push(route);
            }
        }
        self.providers = reloaded.providers;
        self.routes_for = reloaded.routes_for;
        self.posts.send_to(reloaded.webhook);
        self.event(Event::Budgets(Box::new(reloaded.limits)));
        self.event(Event::Reloaded(routes));
        Response::Done
    }

    /// Answered when the record of the change is durable.
    fn change(&mut self, job: JobId, change: JobChange, reply: Reply) {
        let before = self.engine.ledger().globals.seq;
        self.event(Event::Command(job, change));
        let after = self.engine.ledger().globals.seq;
        if after == before {
            let _ = reply.send(Response::refused(RefusedCode::NotPossible, "the job is already over"));
        } else {
            self.changing.push_back((after, reply));
        }
    }

    pub(super) fn durable(&mut self, seq: Seq) {
        self.event(Event::Recorded(seq));
        while self.changing.front().is_some_and(|(at, _)| *at <= seq) {
            if let Some((_, reply)) = self.changing.pop_front() {
                let _ = reply.send(Response::Done);
            }
        }
    }

    /// Takes over a job that a client staged beside the accepted ones.
    fn adopt(&mut self, job: JobId, known: bool, reply: Reply) {
        if known {
            let _ = reply.send(Response::Done);
            return;
        }
        match self.staged.staged(&job) {
            Ok(staged) => {
                self.adopting.entry(job).or_default().push(reply);
                self.outbox.order(Order::Accept(Arc::new(staged)));
            }
            Err(error) => drop(reply.send(Response::refused(RefusedCode::Failed, error.to_string()))),
        }
    }

    pub(super) fn accepted(&mut self, job: Arc<Job>) {
        let replies = self.adopting.remove(&job.id).unwrap_or_default();
        if self.engine.ledger().get(&job.id).is_none() {
            // Rows come through the journal's thread, which is behind this message, so the job is known to
            // the results' thread before its first row.
            let _ = self.parts.send(PartsOrder::Add(job.clone(), 0, 0));
            let routes = (self.routes_for)(&job);
            self.event(Event::Routes(routes));
            self.event(Event::Accepted(job));
        }
        for reply in replies {
            let _ = reply.send(Response::Done);
        }
    }

    pub(super) fn not_accepted(&mut self, job: &JobId, why: &str) {
        for reply in self.adopting.remove(job).unwrap_or_default() {
            let _ = reply.send(Response::refused(RefusedCode::Failed, why));
        }
    }
}

fn no_such_job(request: &Request) -> Response {
    request.job().map_or(Response::Done, Response::no_such_job)
}
