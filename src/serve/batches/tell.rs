//! A webhook hears that a batch is over, by its name and how it ended.
//!
//! That it is to be told stands in the batch's document from the moment it is over until the receiver has
//! taken it, so neither a restart nor a receiver that is down for an hour loses anything. A message may
//! come twice, under one name.

use std::time::Duration;

use serde::Serialize;

use super::record::Record;
use crate::clock::{self, Timestamp};
use crate::serve::{ApiError, App};
use crate::webhook::{Message, Webhook};

/// A receiver that takes nothing is tried again after so long.
const AGAIN: Duration = Duration::from_secs(300);
/// What it has not taken for so long is given up.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);

/// Tells of all that are over, for as long as the server runs.
pub(super) async fn tell_all(app: App) {
    loop {
        let Ok(batches) = app.batches() else { return };
        if let Err(why) = tell_of_each(&app).await {
            tracing::warn!("the webhook does not take what became of batches: {why}; it is tried again");
        }
        let _ = tokio::time::timeout(AGAIN, batches.news.notified()).await;
    }
}

async fn tell_of_each(app: &App) -> Result<(), String> {
    let untold = app.batches().map_err(said)?.untold();
    for record in untold {
        let Some((ended_at, state)) = record.ended() else { continue };
        let delivered = match &app.config().daemon.webhook {
            Some(webhook) => {
                let webhook = Webhook::new(&webhook.url, webhook.secret.as_ref())?;
                webhook.deliver(&message(&record, ended_at, state)).await
            }
            // There was one when it ended, and none is wanted any more.
            None => Ok(()),
        };
        match delivered {
            Err(why) if clock::now().since(ended_at) < LONGEST => return Err(why),
            Err(why) => tracing::error!(batch = %record.id, "the webhook was not told: {why}"),
            Ok(()) => tracing::debug!(batch = %record.id, state, "the webhook was told"),
        }
        let id = record.id.clone();
        let told = app.blocking(move |app| app.batches()?.update(&id, |record| record.untold = false));
        told.await.map_err(said)?;
    }
    Ok(())
}

fn said(error: ApiError) -> String {
    error.message().to_owned()
}

/// What is told of a batch.
#[derive(Serialize)]
struct Data<'a> {
    id: &'a str,
}

fn message(record: &Record, ended_at: Timestamp, state: &str) -> Message {
    let id = record.id.replacen("batch_", "evt_", 1);
    Message::new(id, &format!("batch.{state}"), ended_at, &Data { id: &record.id })
}
