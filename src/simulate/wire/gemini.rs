//! Replies in Gemini's format.
//!
//! Pure.

use super::{Stamp, comma, put, text};
use crate::attempt::{Finish, RefusalKind};
use crate::money::Usage;
use crate::provider::simulated::answer::Vectors;
use crate::provider::simulated::{Answer, Content, Model, Refusal};

/// The list of models.
pub(in crate::simulate) fn models(models: &[Model]) -> Vec<u8> {
    let mut out = b"{\"models\":[".to_vec();
    for (i, model) in models.iter().enumerate() {
        put(&mut out, format_args!("{}{{\"name\":", comma(i)));
        text(&mut out, &format!("models/{}", model.name));
        out.extend_from_slice(b"}");
    }
    out.extend_from_slice(b"]}");
    out
}

/// Vectors, in answer to `batchEmbedContents`.
fn embeddings(out: &mut Vec<u8>, vectors: Vectors, usage: Option<Usage>) {
    out.extend_from_slice(b"{\"embeddings\":[");
    for index in 0..vectors.count {
        put(out, format_args!("{}{{\"values\":[", comma(index)));
        for (i, number) in vectors.row(index).enumerate() {
            put(out, format_args!("{}{number}", comma(i)));
        }
        out.extend_from_slice(b"]}");
    }
    out.push(b']');
    if let Some(Usage { input, .. }) = usage {
        put(out, format_args!(",\"usageMetadata\":{{\"promptTokenCount\":{input}}}"));
    }
    out.push(b'}');
}

pub(super) fn content(out: &mut Vec<u8>, tool: Option<&str>, stamp: Stamp, answer: &Answer) {
    if let Content::Vectors(vectors) = answer.content {
        return embeddings(out, vectors, answer.usage);
    }
    out.push(b'{');
    match answer.finish {
        // A prompt that is blocked has no candidate at all.
        Finish::ContentFilter => {
            out.extend_from_slice(b"\"promptFeedback\":{\"blockReason\":\"PROHIBITED_CONTENT\"}");
        }
        _ => candidates(out, tool, answer),
    }
    if let Some(usage) = &answer.usage {
        let Usage { input, output, cache_read, reasoning, .. } = *usage;
        let said = output.saturating_sub(reasoning);
        put(out, format_args!(",\"usageMetadata\":{{\"promptTokenCount\":{input}"));
        put(out, format_args!(",\"cachedContentTokenCount\":{cache_read}"));
        put(out, format_args!(",\"candidatesTokenCount\":{said},\"thoughtsTokenCount\":{reasoning}"));
        put(out, format_args!(",\"totalTokenCount\":{}}}", input + output));
    }
    out.extend_from_slice(b",\"modelVersion\":");
    text(out, &answer.model);
    put(out, format_args!(",\"responseId\":\"sim-{:x}\"}}", stamp.number));
}

fn candidates(out: &mut Vec<u8>, tool: Option<&str>, answer: &Answer) {
    let reason = match answer.finish {
        Finish::Truncated => "MAX_TOKENS",
        // It has no word of its own for a model that declines.
        Finish::Refusal | Finish::ContentFilter => "SAFETY",
        Finish::Complete | Finish::Empty => "STOP",
    };
    out.extend_from_slice(b"\"candidates\":[");
    for index in 0..answer.choices {
        put(out, format_args!("{}{{\"content\":{{\"parts\":[", comma(usize::from(index))));
        match (&answer.content, tool) {
            (Content::Text(said), Some(name)) if answer.finish == Finish::Complete => {
                out.extend_from_slice(b"{\"functionCall\":{\"name\":");
                text(out, name);
                let args = if said.starts_with('{') { said } else { "{}" };
                put(out, format_args!(",\"args\":{args}}}}}"));
            }
            (Content::Text(said), _) if !said.is_empty() => {
                out.extend_from_slice(b"{\"text\":");
                text(out, said);
                out.push(b'}');
            }
            _ => {}
        }
        put(out, format_args!("],\"role\":\"model\"}},\"finishReason\":\"{reason}\",\"index\":{index}}}"));
    }
    out.push(b']');
}

pub(super) fn error(refusal: &Refusal) -> Vec<u8> {
    let status = match refusal.kind {
        RefusalKind::Auth | RefusalKind::TooLong | RefusalKind::Blocked => "INVALID_ARGUMENT",
        RefusalKind::Invalid if refusal.status == 404 => "NOT_FOUND",
        RefusalKind::Invalid => "INVALID_ARGUMENT",
        RefusalKind::Rate => "RESOURCE_EXHAUSTED",
        RefusalKind::NoCredit => "FAILED_PRECONDITION",
        RefusalKind::Capacity => "UNAVAILABLE",
        RefusalKind::Server => "INTERNAL",
        RefusalKind::ModelGone => "NOT_FOUND",
    };
    let mut out = Vec::with_capacity(256);
    put(&mut out, format_args!("{{\"error\":{{\"code\":{},\"message\":", refusal.status));
    text(&mut out, &refusal.message);
    put(&mut out, format_args!(",\"status\":\"{status}\",\"details\":["));
    match refusal.kind {
        RefusalKind::Auth => out.extend_from_slice(
            b"{\"@type\":\"type.googleapis.com/google.rpc.ErrorInfo\",\"reason\":\"API_KEY_INVALID\"}",
        ),
        RefusalKind::Rate => {
            out.extend_from_slice(
                b"{\"@type\":\"type.googleapis.com/google.rpc.QuotaFailure\",\"violations\":[\
                  {\"quotaId\":\"GenerateRequestsPerMinutePerProjectPerModel\"}]}",
            );
            if let Some(wait) = refusal.retry_after {
                out.extend_from_slice(b",{\"@type\":\"type.googleapis.com/google.rpc.RetryInfo\"");
                put(&mut out, format_args!(",\"retryDelay\":\"{}s\"}}", wait.as_secs_f64()));
            }
        }
        _ => {}
    }
    out.extend_from_slice(b"]}}");
    out
}
