use super::*;
use crate::attempt::{Ending, ErrorCode, Outcome};
use crate::catalog::Route;
use crate::catalog::calendar::Calendar;
use crate::engine::Call;
use crate::job::{AttemptId, Body, Item, JobId, Needs, Wire};
use crate::money::Price;

fn at(seconds: f64) -> Timestamp {
    Timestamp::from_micros((seconds * 1e6) as i64)
}

fn model(name: &str) -> Model {
    Model::new(name, Price { input: 150_000, output: 600_000, ..Price::default() })
}

fn config(models: Vec<Model>) -> Config {
    Config { seed: 11, models, ..Config::default() }
}

fn one(fault: Fault) -> Faults {
    Faults { rates: FaultRates::new(&[(fault, 1.0)]).unwrap(), ..Faults::default() }
}

fn request(number: u64) -> Request<'static> {
    Request {
        client_id: Some(ClientId::Attempt(AttemptId(number))),
        key: "k",
        model: "sim/a",
        wire: Wire::Chat,
        prompt: Prompt { hash: number, input_tokens: 100, kept: None },
        max_output: Some(500),
        choices: 1,
        wanted: Wanted::Plain,
        flex: false,
    }
}

/// Everything that can happen, at a few hundred requests a minute.
fn eventful() -> Config {
    let rates: Vec<_> = Fault::ALL.map(|fault| (fault, 0.02)).into();
    let spread = Model { latency: Duration::from_millis(800), latency_spread: 2.0, ..model("sim/a") };
    let limits = Limits { rpm: Some(120), tpm: Some(50_000), concurrency: Some(4) };
    Config {
        account_limits: Limits { rpm: Some(150), ..Limits::default() },
        faults: Faults { rates: FaultRates::new(&rates).unwrap(), ..Faults::default() },
        ..config(vec![Model { limits, ..spread.clone() }, Model { name: "sim/b".into(), ..spread }])
    }
}

/// Asks `n` times at uneven moments; every request is over once its latency has passed.
fn play(simulated: &mut Simulated, n: u64) -> Vec<Reply> {
    let mut chance = Chance::new(&[99]);
    let mut open: Vec<(Timestamp, Ticket)> = Vec::new();
    let mut now = at(0.0);
    let mut replies = Vec::new();
    for number in 0..n {
        now = now + Duration::from_micros(chance.below(400_000) as u64);
        for i in (0..open.len()).rev() {
            if open[i].0 <= now {
                let (end, ticket) = open.swap_remove(i);
                simulated.finish(end, ticket);
            }
        }
        let model = if chance.happens(0.7) { "sim/a" } else { "b" };
        let mut reply = simulated.request(now, &Request { model, ..request(number) });
        let ticket = Ticket { number: reply.ticket.number, place: reply.ticket.place.take() };
        open.push((now + reply.latency, ticket));
        replies.push(reply);
    }
    replies
}

#[test]
fn the_same_seed_and_order_give_the_same_replies() {
    let (mut first, mut again) = (Simulated::new(eventful()), Simulated::new(eventful()));
    assert_eq!(play(&mut first, 2_000), play(&mut again, 2_000));
    assert_eq!(first.log(), again.log());
    let mut other = Simulated::new(Config { seed: 12, ..eventful() });
    assert_ne!(play(&mut other, 2_000), play(&mut Simulated::new(eventful()), 2_000));
}

#[test]
fn no_sixty_seconds_hold_more_than_the_limits() {
    let mut simulated = Simulated::new(eventful());
    let replies = play(&mut simulated, 5_000);
    let first_model = |line: &&Line| line.model == Some(0);
    let peaks = Peaks::of(simulated.log().iter().filter(first_model));
    assert!(peaks.admitted <= 120 && peaks.admitted_tokens <= 50_000, "{peaks:?}");
    let all = Peaks::of(simulated.log().iter());
    assert!(all.admitted <= 150 && all.arrived > 150, "{all:?}");
    assert!(simulated.accounts[0].gates[0].most_in_flight() == 4);
    // The limits were reached, said so, and said how long to wait.
    let over = simulated.log().iter().zip(&replies).filter(|(l, _)| l.admission == Admission::OverLimit);
    let refusals: Vec<&Refusal> = over
        .map(|(_, reply)| match &reply.act {
            Act::Refuse(refusal) => refusal,
            act => panic!("over a limit, and yet {act:?}"),
        })
        .collect();
    assert!(refusals.iter().all(|refusal| refusal.status == 429));
    assert!(refusals.iter().filter(|refusal| refusal.retry_after.is_some()).count() > 100);
    assert_eq!(simulated.totals().over_limit, refusals.len() as u64);
}

#[test]
fn who_waits_as_told_is_let_in() {
    let limits = Limits { rpm: Some(3), ..Limits::default() };
    let mut simulated = Simulated::new(config(vec![Model { limits, ..model("sim/a") }]));
    let mut now = at(0.0);
    for number in 0..50 {
        let mut reply = simulated.request(now, &request(number));
        if let Act::Refuse(Refusal { retry_after: Some(wait), .. }) = reply.act {
            now = now + wait;
            reply = simulated.request(now, &request(number));
        }
        assert!(matches!(reply.act, Act::Answer(_)), "{:?}", reply.act);
        now = now + Duration::from_secs(1);
    }
}

#[test]
fn totals_are_what_the_log_adds_up_to() {
    let mut simulated = Simulated::new(eventful());
    let replies = play(&mut simulated, 3_000);
    let billed: Usd = replies.iter().filter_map(|reply| Some(reply.billed?.1)).sum();
    let of_log: Usd = simulated.log().iter().map(|line| line.billed).sum();
    let of_usage: i128 = simulated.log().iter().filter_map(|line| line.usage).map(by_hand).sum();
    assert_eq!(simulated.totals().billed, billed);
    assert_eq!(of_log, billed);
    assert_eq!(of_usage, billed.pico());
    let models = ["sim/a", "sim/b"].map(|name| simulated.model_totals(name).unwrap().clone());
    assert_eq!(models[0].billed + models[1].billed, billed);
    assert_eq!(models[0].requests + models[1].requests, 3_000);
    assert!(simulated.totals().faults > 500 && billed > Usd::ZERO);
}

/// The price of [`model`], worked out without [`Price::cost`].
fn by_hand(usage: Usage) -> i128 {
    i128::from(usage.input) * 150_000 + i128::from(usage.output) * 600_000
}

#[test]
fn each_fault_does_what_it_says() {
    let cases = [
        (Fault::RateLimited, Some(429), false),
        (Fault::ServerError, Some(500), false),
        (Fault::ServerErrorBilled, Some(500), true),
        (Fault::Overloaded, Some(503), false),
        (Fault::Reset, None, false),
        (Fault::ResetBilled, None, true),
        (Fault::Hang, None, true),
        (Fault::CutBody, Some(200), true),
        (Fault::Garbage, Some(200), true),
        (Fault::Html, Some(200), true),
        (Fault::Empty, Some(200), true),
        (Fault::NoUsage, Some(200), true),
        (Fault::WrongUsage, Some(200), true),
        (Fault::WrongModel, Some(200), true),
        (Fault::Length, Some(200), true),
        (Fault::Refusal, Some(200), true),
        (Fault::ContentFilter, Some(200), true),
        (Fault::Slow, Some(200), true),
    ];
    assert_eq!(cases.map(|case| case.0), Fault::ALL);
    for (fault, status, billed) in cases {
        let mut simulated = Simulated::new(Config { faults: one(fault), ..config(vec![model("sim/a")]) });
        let reply = simulated.request(at(0.0), &request(1));
        let line = &simulated.log()[0];
        assert_eq!((line.fault, line.status, line.usage.is_some()), (Some(fault), status, billed));
        assert_eq!(line.billed > Usd::ZERO, billed, "{fault}");
        assert_eq!(reply.billed, line.usage.map(|usage| (usage, line.billed)), "{fault}");
        if let Act::Answer(answer) = reply.act {
            let (text, usage) = (answer.content.into_text(), answer.usage);
            match fault {
                Fault::NoUsage => assert_eq!(usage, None),
                Fault::WrongUsage => assert_ne!(usage, line.usage),
                _ => assert_eq!(usage, line.usage, "{fault}"),
            }
            assert_eq!(&*answer.model == "sim/a", fault != Fault::WrongModel);
            let finish = match fault {
                Fault::Empty => Finish::Empty,
                Fault::Length => Finish::Truncated,
                Fault::Refusal => Finish::Refusal,
                Fault::ContentFilter => Finish::ContentFilter,
                _ => Finish::Complete,
            };
            assert_eq!(answer.finish, finish);
            let silent = matches!(fault, Fault::Empty | Fault::Refusal | Fault::ContentFilter);
            assert_eq!(text.is_empty(), silent, "{fault}: {text}");
        }
    }
}

#[test]
fn lasting_conditions_refuse_in_the_words_of_providers() {
    let mut simulated = Simulated::new(Config {
        keys: ["k".to_owned()].into(),
        ..config(vec![model("sim/a"), model("sim/b")])
    });
    let mut ask = |second: f64, change: &str, request: &Request<'_>| {
        simulated.change(at(second), serde_json::from_str(change).unwrap()).unwrap();
        match simulated.request(at(second), request).act {
            Act::Refuse(refusal) => (refusal.status, refusal.word(), refusal.kind),
            act => (200, "", panic_unless_answer(act)),
        }
    };
    let good = request(1);
    let fine = (200, "", RefusalKind::Invalid);
    assert_eq!(ask(0.0, "{}", &good), fine);
    let stranger = Request { key: "other", ..request(1) };
    assert_eq!(ask(1.0, "{}", &stranger), (401, "invalid_api_key", RefusalKind::Auth));
    let unknown = Request { model: "sim/z", ..request(1) };
    assert_eq!(ask(2.0, "{}", &unknown), (404, "model_not_found", RefusalKind::ModelGone));
    let long = Request { prompt: Prompt { hash: 1, input_tokens: 127_600, kept: None }, ..request(1) };
    assert_eq!(ask(3.0, "{}", &long), (400, "context_length_exceeded", RefusalKind::TooLong));
    assert_eq!(ask(4.0, r#"{"down":true}"#, &good), (503, "server_error", RefusalKind::Server));
    assert_eq!(ask(5.0, r#"{"down":false}"#, &good), fine);
    assert_eq!(ask(6.0, r#"{"retire":["a"]}"#, &good).2, RefusalKind::ModelGone);
    assert_eq!(ask(7.0, "{}", &Request { model: "sim/b", ..request(1) }), fine);
    let broke = (429, "credit_balance_exhausted", RefusalKind::NoCredit);
    assert_eq!(ask(8.0, r#"{"reset":true,"no_credit_after":"$0.000001"}"#, &good), broke);
    assert_eq!(ask(9.0, r#"{"reset":true,"revoke":["k"]}"#, &good).2, RefusalKind::Auth);
    assert_eq!(ask(10.0, r#"{"reset":true}"#, &good), fine);
}

/// Stands in for a kind of refusal where there is none.
fn panic_unless_answer(act: Act) -> RefusalKind {
    assert!(matches!(act, Act::Answer(_)), "{act:?}");
    RefusalKind::Invalid
}

#[test]
fn the_price_is_the_one_of_the_moment() {
    let mut changing = model("sim/a");
    changing.price_changes = vec![(at(100.0), Price { input: 1, output: 0, ..Price::default() })];
    let mut simulated = Simulated::new(config(vec![changing]));
    let before = simulated.request(at(99.0), &request(1)).billed.unwrap();
    let after = simulated.request(at(100.0), &request(1)).billed.unwrap();
    assert_eq!(before.1.pico(), by_hand(before.0));
    assert_eq!(after.1.pico(), 100);
}

#[test]
fn a_schema_answer_that_does_not_fit_is_cut_off() {
    let schema = r#"{"type":"string","minLength":200}"#;
    let mut simulated = Simulated::new(config(vec![model("sim/a")]));
    let mut ask = |max_output| {
        let wanted = Wanted::Schema(schema);
        match simulated.request(at(0.0), &Request { wanted, max_output, ..request(1) }).act {
            Act::Answer(answer) => {
                (answer.finish, answer.usage.unwrap().output, answer.content.into_text().len())
            }
            act => panic!("{act:?}"),
        }
    };
    assert_eq!(ask(Some(10)), (Finish::Truncated, 10, 40));
    let (finish, output, length) = ask(None);
    assert_eq!((finish, output), (Finish::Complete, (length as u64).div_ceil(4)));
}

#[test]
fn text_longer_than_the_limit_is_cut_off_where_the_model_does_that() {
    for (cuts_off, finish) in [(true, Finish::Truncated), (false, Finish::Complete)] {
        let talker = Model { output: 100, output_spread: 1.0, cuts_off, ..model("sim/a") };
        let mut simulated = Simulated::new(config(vec![talker]));
        let mut ask = |max_output| {
            let request = Request { wanted: Wanted::Text, max_output, ..request(1) };
            match simulated.request(at(0.0), &request).act {
                Act::Answer(answer) => (answer.finish, answer.usage.unwrap().output),
                act => panic!("{act:?}"),
            }
        };
        assert_eq!(ask(Some(40)), (finish, 40));
        assert_eq!(ask(Some(160)), (Finish::Complete, 100));
        assert_eq!(ask(None), (Finish::Complete, 100));
    }
}

#[test]
fn hidden_reasoning_and_caches_are_billed_as_stated() {
    let thinker = Model { reasoning_share: 0.75, cached_share: 0.5, output: 400, ..model("sim/a") };
    let mut simulated = Simulated::new(config(vec![Model { output_spread: 1.0, ..thinker }]));
    let request = Request { wanted: Wanted::Text, choices: 2, ..request(1) };
    let reply = simulated.request(at(0.0), &request);
    let usage = reply.billed.unwrap().0;
    assert_eq!(usage, Usage { input: 100, cache_read: 50, output: 800, reasoning: 600, ..Usage::default() });
    let Act::Answer(answer) = reply.act else { panic!("{:?}", reply.act) };
    let length = answer.content.into_text().len();
    assert!((360..=400).contains(&length), "100 visible tokens are not {length} bytes");
}

/// An engine's call of a one-line item.
fn call(number: u64, body: &str, model: &str) -> Call {
    Call {
        attempt: AttemptId(number),
        job: JobId::new("job_test000000"),
        route: Arc::new(Route {
            name: format!("sim/{model}").into(),
            provider: "sim".into(),
            account: "sim".into(),
            model: model.into(),
            lane: "realtime".into(),
            wires: vec![Wire::Chat],
            context: None,
            max_output: None,
            features: None,
            prices: None,
            hours: Calendar::always(),
            limits: Default::default(),
            account_limits: Default::default(),
            allowance: None,
            unusable: None,
            batch: None,
        }),
        item: Arc::new(Item {
            index: 0,
            custom_id: "a".into(),
            class: 0,
            wire: Wire::Chat,
            body: Body { json: body.to_owned().into(), model_at: None },
            input_tokens: 200,
            max_output: Some(300),
            choices: 1,
            needs: Needs::default(),
            options: None,
        }),
        beside: None,
    }
}

fn prompt_of(number: u64) -> String {
    format!(r#"{{"messages":[{{"role":"user","content":"question {number}"}}],"model":"m"}}"#)
}

#[test]
fn in_process_the_pass_rate_holds_and_a_retry_changes_nothing() {
    let models = vec![Model { pass_rate: 0.7, ..model("sim/a") }];
    let mut simulated = Simulated::new(Config { plain_answers: true, ..config(models) });
    let mut text = |attempt, body: &str| match simulated.outcome(at(0.0), &call(attempt, body, "a")).1 {
        Ending { outcome: Outcome::Answer(answer), .. } => answer.text,
        ending => panic!("{ending:?}"),
    };
    let mut n_good = 0;
    for number in 0..10_000 {
        let body = prompt_of(number);
        let answer = text(number, &body);
        assert_eq!(answer, text(number + 20_000, &body));
        n_good += u32::from(answer == "pass");
    }
    // Four standard deviations of 10,000 draws at 0.7 are 183.
    assert!(n_good.abs_diff(7_000) < 183, "{n_good}");
}

#[test]
fn in_process_a_body_is_answered_as_it_asks_unless_plain_answers_are_wanted() {
    let body = r#"{"messages":["x"],"model":"m","response_format":{"type":"json_schema","json_schema":{"schema":{"const":7}}}}"#;
    for (plain_answers, expected) in [(true, "pass"), (false, "7")] {
        let mut simulated = Simulated::new(Config { plain_answers, ..config(vec![model("sim/a")]) });
        let (_, ending) = simulated.outcome(at(0.0), &call(1, body, "a"));
        let Outcome::Answer(answer) = ending.outcome else { panic!("{ending:?}") };
        assert_eq!((&*answer.text, answer.response_model.as_deref()), (expected, Some("a")));
    }
}

#[test]
fn in_process_every_fault_ends_as_a_careful_client_would_see_it() {
    for fault in Fault::ALL {
        let config = Config { faults: one(fault), plain_answers: true, ..config(vec![model("sim/a")]) };
        let mut simulated = Simulated::new(config);
        let (latency, ending) = simulated.outcome(at(0.0), &call(1, &prompt_of(1), "a"));
        let ok = match (fault, ending.outcome) {
            (Fault::RateLimited, Outcome::Refused(refusal)) => refusal.kind == RefusalKind::Rate,
            (Fault::ServerError | Fault::ServerErrorBilled, Outcome::Refused(refusal)) => {
                refusal.kind == RefusalKind::Server && refusal.http_status == 500
            }
            (Fault::Overloaded, Outcome::Refused(refusal)) => refusal.kind == RefusalKind::Capacity,
            (Fault::Reset | Fault::ResetBilled, Outcome::Unknown { code, http_status: None, .. }) => {
                code == ErrorCode::Network
            }
            (Fault::Hang, Outcome::Unknown { code, .. }) => {
                code == ErrorCode::Timeout && latency == Duration::from_secs(600)
            }
            (Fault::CutBody, Outcome::Unknown { http_status, .. }) => http_status == Some(200),
            (Fault::Garbage | Fault::Html, Outcome::Garbage { body, .. }) => !body.is_empty(),
            (Fault::Length, Outcome::Answer(answer)) => answer.finish_reason.as_deref() == Some("length"),
            (Fault::WrongModel, Outcome::Answer(answer)) => answer.response_model.as_deref() != Some("a"),
            (_, Outcome::Answer(answer)) => answer.http_status == 200,
            (_, outcome) => panic!("{fault}: {outcome:?}"),
        };
        assert!(ok, "{fault}");
    }
}

#[test]
fn in_process_calls_end_by_themselves_when_their_time_has_passed() {
    let limits = Limits { concurrency: Some(2), ..Limits::default() };
    let slow = Model { latency: Duration::from_secs(10), limits, ..model("sim/a") };
    let mut simulated = Simulated::new(config(vec![slow]));
    let mut admitted = |seconds| {
        let (_, ending) = simulated.outcome(at(seconds), &call(1, &prompt_of(1), "a"));
        matches!(ending.outcome, Outcome::Answer(_))
    };
    assert_eq!([0.0, 1.0, 2.0, 9.9].map(&mut admitted), [true, true, false, false]);
    assert_eq!([10.0, 10.5, 11.0].map(&mut admitted), [true, false, true]);
    assert_eq!(simulated.log()[0].ended_at, Some(at(10.0)));
}

#[test]
fn what_a_prompt_is_billed_is_near_the_estimate_and_never_above_the_most() {
    let mut simulated = Simulated::new(Config { plain_answers: true, ..config(vec![model("sim/a")]) });
    for number in 0..200 {
        simulated.outcome(at(0.0), &call(number, &prompt_of(number), "a"));
    }
    let billed: Vec<u64> = simulated.log().iter().filter_map(|line| Some(line.usage?.input)).collect();
    let most = prompt_of(199).len() as u64 + 64;
    assert!(billed.iter().all(|&tokens| tokens <= most), "{billed:?}");
}
