//! A request on a lane: what is not realtime is a service tier, under the name its format has for it.
//!
//! Pure.

use bytes::Bytes;

use crate::job::Wire;
use crate::plan::route::FLEX;

/// The body asking for a lane.
pub(super) fn on_lane(body: Bytes, wire: Wire, lane: &str) -> Bytes {
    let tier: &[u8] = match wire {
        Wire::Chat | Wire::Responses => br#""service_tier":"flex""#,
        Wire::GenerateContent => br#""serviceTier":"flex""#,
        Wire::Messages | Wire::Embeddings => return body,
    };
    let open = body.iter().position(|&byte| byte == b'{');
    let Some(open) = open.filter(|_| lane == FLEX) else { return body };
    let (before, after) = body.split_at(open + 1);
    // A request asks something, so something follows.
    [before, tier, b",", after].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_a_service_tier_and_realtime_is_none() {
        let body = || Bytes::from_static(br#" {"model":"m","a":1}"#);
        for (wire, lane, sent) in [
            (Wire::Chat, "realtime", r#" {"model":"m","a":1}"#),
            (Wire::Chat, "flex", r#" {"service_tier":"flex","model":"m","a":1}"#),
            (Wire::GenerateContent, "flex", r#" {"serviceTier":"flex","model":"m","a":1}"#),
            (Wire::Embeddings, "flex", r#" {"model":"m","a":1}"#),
        ] {
            assert_eq!(on_lane(body(), wire, lane), sent.as_bytes(), "{wire:?} {lane}");
        }
    }
}
