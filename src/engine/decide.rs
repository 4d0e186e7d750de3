//! What happens next to an item whose attempt has ended: the only place that decides it.
//!
//! Failover is not escalation. An account that is down, throttled, out of credit, or a model that is
//! retired says nothing of the item: it goes back to its step. An answer that is cut off is asked for
//! once more with a larger limit; one that is cut off still, refused, or rejected by its check moves up
//! the ladder. A request the provider calls invalid ends at once.
//!
//! Pure.

use crate::attempt::{Answer, AttemptStatus, ErrorCode, Finish, Outcome, Refusal, RefusalKind};
use crate::check::Verdict;
use crate::job::{JobOptions, OnUnknown};
use crate::ledger::ItemState;
use crate::money::Usd;

/// What is known of the item beside the outcome.
pub(super) struct Situation<'a> {
    /// The job's options.
    pub options: &'a JobOptions,
    /// The item's `max_attempts`, or the job's.
    pub max_attempts: u8,
    /// Attempts before this one that count.
    pub attempts: u8,
    /// Unknown outcomes before this one.
    pub unknowns: u8,
    /// The step of the ladder that a failed item moves to; its own where only equals are left.
    pub above: Option<u8>,
    /// Whether its model would answer at greater length, and was not asked to on this step.
    pub has_more_room: bool,
    /// The most this attempt may have cost.
    pub worst_case: Usd,
}

/// What an outcome means and what follows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decision {
    /// How the attempt ended.
    pub status: AttemptStatus,
    /// Why it did not succeed.
    pub error: Option<(ErrorCode, String)>,
    /// What becomes of the item.
    pub then: Then,
}

/// What becomes of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// Its answer is accepted.
    Accept,
    /// Again on its step as soon as a route takes it; the route that refused has its own pause.
    Failover,
    /// Again on its step, after a pause.
    Retry,
    /// Once more on its step, with a larger output limit.
    Longer,
    /// On this step, at another model.
    Escalate(u8),
    /// Nothing that may be tried is left.
    GiveUp,
    /// A person decides.
    Hold,
    /// Another attempt of it is in flight, and decides.
    AwaitRival,
}

/// Decides. `verdict` is what the check says of a complete answer.
pub(super) fn decide(outcome: &Outcome, verdict: &Verdict, given: &Situation<'_>) -> Decision {
    match outcome {
        Outcome::Answer(answer) => answered(answer, verdict, given),
        Outcome::NotSent { message } => {
            Decision::error(AttemptStatus::Error, ErrorCode::Network, message, Then::Retry)
        }
        Outcome::Refused(refusal) => refused(refusal, given),
        Outcome::Unknown { message, code, .. } => unknown(message, *code, given),
        Outcome::Garbage { message, .. } => {
            Decision::error(AttemptStatus::Error, ErrorCode::BadResponse, message, retry_or_give_up(given))
        }
    }
}

fn answered(answer: &Answer, verdict: &Verdict, given: &Situation<'_>) -> Decision {
    let rejected = |code, message: &str, then| Decision::error(AttemptStatus::Rejected, code, message, then);
    match answer.finish {
        Finish::Complete => {}
        Finish::Truncated if given.options.accept_truncated => {}
        Finish::Truncated => {
            let then = if given.has_more_room { again(given, Then::Longer) } else { up(given) };
            return rejected(ErrorCode::Truncated, "the answer was cut off at the output limit", then);
        }
        Finish::Refusal => return rejected(ErrorCode::Refusal, "the model declined to answer", up(given)),
        Finish::ContentFilter => {
            return rejected(ErrorCode::ContentFilter, "a content filter took the answer away", up(given));
        }
        Finish::Empty => {
            let then = if given.attempts == 0 { retry_or_give_up(given) } else { up(given) };
            return rejected(ErrorCode::EmptyResponse, "the answer is empty", then);
        }
    }
    match verdict {
        Verdict::Fail(code, message) => rejected(*code, message, up(given)),
        // A command that has not run is asked for before anything is decided.
        Verdict::Pass | Verdict::Run(_) => {
            Decision { status: AttemptStatus::Succeeded, error: None, then: Then::Accept }
        }
    }
}

fn refused(refusal: &Refusal, given: &Situation<'_>) -> Decision {
    let (code, then) = match refusal.kind {
        RefusalKind::Rate => (ErrorCode::RateLimited, Then::Failover),
        RefusalKind::Capacity => (ErrorCode::Overloaded, Then::Failover),
        RefusalKind::Server => (ErrorCode::ServerError, retry_or_give_up(given)),
        RefusalKind::NoCredit => (ErrorCode::Quota, Then::Failover),
        RefusalKind::Auth => (ErrorCode::Auth, Then::Failover),
        RefusalKind::ModelGone => (ErrorCode::NoRoute, Then::Failover),
        RefusalKind::TooLong => (ErrorCode::ContextLength, up(given)),
        RefusalKind::Blocked => (ErrorCode::ContentFilter, up(given)),
        RefusalKind::Invalid => (ErrorCode::BadRequest, Then::GiveUp),
    };
    Decision::error(AttemptStatus::Error, code, &refusal.message, then)
}

/// The request may have been billed, so it is sent again only as often as the user allows.
fn unknown(message: &str, code: ErrorCode, given: &Situation<'_>) -> Decision {
    let held = given.options.on_unknown == OnUnknown::Hold || given.worst_case > given.options.hold_above;
    if held {
        return Decision::error(AttemptStatus::Unknown, code, message, Then::Hold);
    }
    // An item cannot count more than that, so a larger number would never be reached.
    if given.unknowns >= given.options.unknown_resends.min(ItemState::MAX_UNKNOWNS) {
        let message = format!("{message}; sent {} times without learning the outcome", given.unknowns + 1);
        return Decision::error(AttemptStatus::Unknown, ErrorCode::OutcomeUnknown, &message, Then::GiveUp);
    }
    Decision::error(AttemptStatus::Unknown, code, message, Then::Retry)
}

fn retry_or_give_up(given: &Situation<'_>) -> Then {
    again(given, Then::Retry)
}

fn again(given: &Situation<'_>, then: Then) -> Then {
    if given.attempts + 1 >= given.max_attempts { Then::GiveUp } else { then }
}

fn up(given: &Situation<'_>) -> Then {
    let has_attempts = given.attempts + 1 < given.max_attempts;
    given.above.filter(|_| has_attempts).map_or(Then::GiveUp, Then::Escalate)
}

impl Decision {
    /// Whether the model is not asked for the item again: it has answered, or it cannot.
    pub(super) fn spends_model(&self) -> bool {
        let code = self.error.as_ref().map(|(code, _)| *code);
        let cannot = matches!(code, Some(ErrorCode::ContextLength | ErrorCode::ContentFilter));
        matches!(self.then, Then::Escalate(_) | Then::GiveUp)
            && (self.status == AttemptStatus::Rejected || cannot)
    }

    fn error(status: AttemptStatus, code: ErrorCode, message: &str, then: Then) -> Decision {
        Decision { status, error: Some((code, message.to_owned())), then }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(outcome: Outcome, verdict: Verdict, change: impl Fn(&mut Situation<'_>), then: Then) {
        let options = JobOptions::default();
        let mut given = Situation {
            options: &options,
            max_attempts: 4,
            attempts: 0,
            unknowns: 0,
            above: Some(1),
            has_more_room: false,
            worst_case: Usd::ZERO,
        };
        change(&mut given);
        assert_eq!(decide(&outcome, &verdict, &given).then, then, "{outcome:?}");
    }

    fn refusal(kind: RefusalKind) -> Outcome {
        Outcome::Refused(Refusal {
            kind,
            http_status: 400,
            message: "no".into(),
            retry_after: None,
            request_id: None,
            body: bytes::Bytes::new(),
        })
    }

    fn answer(finish: Finish) -> Outcome {
        Outcome::Answer(Answer { finish, ..Answer::default() })
    }

    fn unknown() -> Outcome {
        Outcome::Unknown { message: "reset".into(), code: ErrorCode::Network, http_status: None }
    }

    fn failed() -> Verdict {
        Verdict::Fail(ErrorCode::NotJson, "no".into())
    }

    #[test]
    fn failover_is_not_escalation() {
        use RefusalKind::*;
        for kind in [Rate, Capacity, NoCredit, Auth, ModelGone] {
            check(refusal(kind), Verdict::Pass, |given| given.attempts = 3, Then::Failover);
        }
    }

    #[test]
    fn a_bad_answer_moves_up_and_gives_up_at_the_top() {
        for finish in [Finish::Truncated, Finish::Refusal, Finish::ContentFilter] {
            check(answer(finish), Verdict::Pass, |_| (), Then::Escalate(1));
            check(answer(finish), Verdict::Pass, |given| given.above = None, Then::GiveUp);
        }
        check(answer(Finish::Complete), failed(), |_| (), Then::Escalate(1));
        check(answer(Finish::Complete), failed(), |given| given.attempts = 3, Then::GiveUp);
        check(answer(Finish::Complete), Verdict::Pass, |given| given.attempts = 3, Then::Accept);
    }

    #[test]
    fn a_cut_off_answer_gets_more_room_before_it_moves_up() {
        let cut_off = || answer(Finish::Truncated);
        check(cut_off(), Verdict::Pass, |given| given.has_more_room = true, Then::Longer);
        check(
            cut_off(),
            Verdict::Pass,
            |given| (given.has_more_room, given.attempts) = (true, 3),
            Then::GiveUp,
        );
        check(
            cut_off(),
            Verdict::Pass,
            |given| (given.has_more_room, given.above) = (true, None),
            Then::Longer,
        );
    }

    #[test]
    fn an_empty_answer_gets_one_more_try_on_its_step() {
        check(answer(Finish::Empty), Verdict::Pass, |_| (), Then::Retry);
        check(answer(Finish::Empty), Verdict::Pass, |given| given.attempts = 1, Then::Escalate(1));
    }

    #[test]
    fn an_invalid_request_ends_at_once() {
        check(refusal(RefusalKind::Invalid), Verdict::Pass, |_| (), Then::GiveUp);
    }

    #[test]
    fn unknown_outcomes_have_a_limit_of_their_own() {
        check(unknown(), Verdict::Pass, |given| given.attempts = 3, Then::Retry);
        check(unknown(), Verdict::Pass, |given| given.unknowns = 1, Then::Retry);
        check(unknown(), Verdict::Pass, |given| given.unknowns = 2, Then::GiveUp);
        check(
            unknown(),
            Verdict::Pass,
            |given| given.worst_case = Usd::from_pico(2_000_000_000_000),
            Then::Hold,
        );
    }
}
