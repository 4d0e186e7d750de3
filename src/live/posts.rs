//! Alerts on their way to a webhook: sent beside the work, which they never hold up.
//!
//! Shell.

use std::time::Duration;

use serde::Serialize;
use tokio::task::JoinSet;

use crate::clock::{self, Timestamp};
use crate::engine::Notice;
use crate::ledger::{Alert, Scope};
use crate::webhook::{Message, Webhook};

/// How long what is on its way may still take when everything else is over.
const LAST_TRIES: Duration = Duration::from_secs(10);

/// What is on its way.
pub(super) struct Posts {
    webhook: Option<Webhook>,
    tasks: JoinSet<()>,
}

impl Posts {
    /// To this receiver, where there is one.
    pub(super) fn new(webhook: Option<Webhook>) -> Posts {
        Posts { webhook, tasks: JoinSet::new() }
    }

    /// From now on to this receiver.
    pub(super) fn send_to(&mut self, webhook: Option<Webhook>) {
        self.webhook = webhook;
    }

    /// Sends what is an alert.
    pub(super) fn tell(&mut self, notice: &Notice) {
        while self.tasks.try_join_next().is_some() {}
        let (Some(webhook), Notice::Budget(alert)) = (self.webhook.clone(), notice) else { return };
        let message = message(alert, clock::now());
        self.tasks.spawn(async move {
            if let Err(why) = webhook.deliver(&message).await {
                tracing::warn!(id = message.id, "the webhook does not take an alert: {why}");
            }
        });
    }

    /// Gives what is on its way a little time to arrive.
    pub(super) async fn finish(&mut self) {
        let arrived = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(LAST_TRIES, arrived).await.is_err() {
            tracing::warn!("alerts that the webhook did not take in time are given up");
        }
    }
}

/// What is told of an alert; its field names are part of the interface.
#[derive(Serialize)]
struct Data<'a> {
    /// `process`, `tag` or `job`.
    scope: &'static str,
    /// The tag or the job.
    name: Option<&'a str>,
    /// `day`, `month` or `total`.
    period: &'static str,
    /// `2026-11-21`, `2026-11` or `total`.
    of: String,
    percent: u8,
    /// Known bills and the worst case of unknown ones.
    used_usd: f64,
    limit_usd: f64,
}

fn message(alert: &Alert, now: Timestamp) -> Message {
    let Alert { scope, period, percent, settled, limit } = alert;
    let (kind, name) = match scope {
        Scope::Process => ("process", None),
        Scope::Tag(tag) => ("tag", Some(&**tag)),
        Scope::Job(job) => ("job", Some(job.as_str())),
    };
    let data = Data {
        scope: kind,
        name,
        period: period.as_str(),
        of: period.to_string(),
        percent: *percent,
        used_usd: settled.as_f64(),
        limit_usd: limit.as_f64(),
    };
    // The limit is part of it: what is told again under a new one is another message.
    let hash = crc32c::crc32c(format!("{scope}/{period}/{percent}/{}", limit.pico()).as_bytes());
    Message::new(format!("budget_{period}_{percent}_{hash:08x}"), "budget.alert", now, &data)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Day, Period};

    #[test]
    fn an_alert_has_one_name_and_says_where_the_budget_stands() {
        let usd = |text: &str| text.parse().unwrap();
        let alert = |settled| Alert {
            scope: Scope::Tag("team=search".into()),
            period: Period::Day(Day::default()),
            percent: 80,
            settled: usd(settled),
            limit: usd("$5"),
        };
        let at = |alert: &Alert| message(alert, Timestamp::from_micros(60_000_000));
        let (first, again) = (at(&alert("$4")), at(&alert("$4.10")));
        assert_eq!(first.id, again.id);
        assert_eq!(
            first.body.replace(&first.id, "ID"),
            r#"{"id":"ID","object":"event","created_at":60,"type":"budget.alert","data":{"scope":"tag","name":"team=search","period":"day","of":"1970-01-01","percent":80,"used_usd":4.0,"limit_usd":5.0}}"#
        );
    }
}
