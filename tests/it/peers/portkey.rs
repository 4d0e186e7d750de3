use overnight::attempt::{Finish, Outcome, RefusalKind};
use overnight::catalog::endpoint::Endpoint;
use overnight::job::Wire;
use overnight::money::Usage;

use serde_json::json;

use super::process::{self, Process};
use super::{
    KEY, Peer, answers_arrive, refusals_keep_their_meaning, upstream, what_breaks_may_have_been_billed,
};
use crate::families::question;
use crate::support::profile;

/// Our adapter, told to ask this provider behind the gateway.
fn peer(gateway: &Process, headers: &[(&str, &str)]) -> Peer {
    let endpoint = profile::endpoint("portkey", &format!("{}/v1", gateway.address), KEY);
    let headers = headers.iter().map(|(name, value)| profile::header(name, value)).collect();
    Peer::new(Endpoint { headers, ..endpoint }, "m")
}

#[test]
fn portkey_passes_on_what_openai_says() {
    let (folder, provider) = (tempfile::tempdir().unwrap(), upstream());
    let gateway = process::portkey(folder.path());
    let host = provider.base_url();
    let openai = peer(&gateway, &[("x-portkey-provider", "openai"), ("x-portkey-custom-host", &host)]);
    answers_arrive(&openai, &provider);
    refusals_keep_their_meaning(&openai, &provider, true);
    what_breaks_may_have_been_billed(&openai, &provider);
    let own = json!({"input": "What is it?", "max_output_tokens": 60});
    let answer = openai.answer_to(Wire::Responses, &own);
    assert_eq!(answer.usage, provider.log().pop().unwrap().usage);
}

#[test]
fn portkey_passes_on_what_anthropic_says() {
    let (folder, provider) = (tempfile::tempdir().unwrap(), upstream());
    let gateway = process::portkey(folder.path());
    let host = provider.base_url();
    let claude = peer(&gateway, &[("x-portkey-provider", "anthropic"), ("x-portkey-custom-host", &host)]);
    let answer = claude.answer(&question());
    assert_eq!(answer.finish, Finish::Complete);
    let (usage, billed) = (answer.usage.unwrap(), provider.log().pop().unwrap().usage.unwrap());
    assert!(billed.cache_read > 0);
    // It leaves out how much of the output was thinking, which costs the same.
    assert_eq!(usage, Usage { reasoning: 0, ..billed }, "it counts cached tokens beside the prompt");
}

#[test]
fn portkeys_own_refusals_are_about_the_set_up() {
    let folder = tempfile::tempdir().unwrap();
    let gateway = process::portkey(folder.path());
    for headers in [&[][..], &[("x-portkey-provider", "nonesuch")]] {
        let refusal = peer(&gateway, headers).refusal();
        assert_eq!(refusal.kind, RefusalKind::Auth, "{refusal:?}");
    }
    // Nobody is behind it: nothing was served, and it may be tried again.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let host = format!("http://{closed}/v1");
    let gone = peer(&gateway, &[("x-portkey-provider", "openai"), ("x-portkey-custom-host", &host)]);
    let outcome = gone.ask(Wire::Chat, &question()).outcome;
    let Outcome::Refused(refusal) = &outcome else { panic!("{outcome:?}") };
    assert_eq!(refusal.kind, RefusalKind::Server);
    assert!(refusal.message.contains("fetch failed"), "{refusal:?}");
}
