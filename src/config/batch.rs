//! `[providers.NAME.batch]`: how a provider takes batches.

use super::reader::{self, Log, Section};
use crate::catalog::batch::{BatchDialect, BatchSettings, FoundBy};

const MOST: u64 = 1_000_000_000_000;

/// Reads the table; `None` where there is none.
pub(super) fn batch(provider: &mut Section<'_>, log: &mut Log) -> Option<BatchSettings> {
    let mut section = provider.section_if("batch", log)?;
    let mut count = |key| section.get(key, log, reader::whole(1u64, MOST));
    let (requests, bytes, tokens) = (count("requests"), count("bytes"), count("tokens"));
    let context = count("context");
    let settings = BatchSettings {
        dialect: section.get("api", log, reader::one_of(BatchDialect::WORDS)),
        requests,
        bytes,
        tokens,
        context,
        inline_bytes: section.get("inline_bytes", log, reader::whole(0, MOST)),
        open: section.get("open", log, reader::whole(1u32, 1_000_000)),
        one_model: section.get("one_model", log, reader::boolean),
        found_by: section.get("found_by", log, reader::one_of(FoundBy::WORDS)),
        window: section.get("window", log, |value| {
            // Sent as it is written, but a slip of the pen would fail a whole batch much later.
            reader::duration(value).and_then(|_| reader::text(value))
        }),
        url_prefix: section.get("url_prefix", log, reader::text),
        purpose: section.get("purpose", log, reader::text),
        names_model: section.get("names_model", log, reader::boolean),
        keep_files: section.get("keep_files", log, reader::boolean),
    };
    section.finish(log);
    Some(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::batch::{BatchApi, BatchLimits};
    use crate::config::{Config, Inputs, parse};

    fn read(text: &str) -> Result<Config, String> {
        let env = [].into();
        let inputs = Inputs { file: None, cwd: std::path::Path::new("/srv"), env: &env, flags: &[] };
        parse(text, &inputs).map_err(|error| error.to_string())
    }

    fn api(name: &str, text: &str) -> Option<BatchApi> {
        read(text).unwrap().catalog.provider(name).unwrap().quirks.batch.clone()
    }

    #[test]
    fn limits_of_an_account_go_over_the_table() {
        let text = "[providers.openai.batch]\ntokens = 2_000_000\nrequests = 1_000";
        let api = api("openai", text).unwrap();
        assert_eq!((api.limits.tokens, api.limits.requests), (Some(2_000_000), 1_000));
        assert_eq!(api.limits.bytes, 200_000_000, "the table's");
    }

    /// What a vendor's pages do not say for certain is data.
    #[test]
    fn everything_that_is_known_of_a_batch_api_can_be_said_otherwise() {
        let text = "[providers.together.batch]\napi = \"mistral\"\nrequests = 1\nbytes = 2\ntokens = 3\n\
            inline_bytes = 4\nopen = 5\none_model = false\nfound_by = \"lines\"\nwindow = \"7d\"\n\
            url_prefix = \"/v9\"\npurpose = \"p\"\nnames_model = true\nkeep_files = true\ncontext = 6";
        let limits = BatchLimits {
            requests: 1,
            bytes: 2,
            tokens: Some(3),
            inline_bytes: 4,
            open: Some(5),
            one_model: false,
        };
        let expected = BatchApi {
            dialect: BatchDialect::Mistral,
            limits,
            found_by: FoundBy::Lines,
            window: "7d".into(),
            url_prefix: "/v9".into(),
            purpose: "p".into(),
            names_model: true,
            keep_files: true,
            context: Some(6),
        };
        assert_eq!(api("together", text), Some(expected));
    }

    #[test]
    fn a_provider_of_ones_own_has_batches_once_it_is_said() {
        let own = "[providers.lab]\nkind = \"anthropic\"\nbase_url = \"http://127.0.0.1:1/v1\"\n";
        assert_eq!(api("lab", own), None);
        let api = api("lab", &format!("{own}batch = {{}}")).unwrap();
        assert_eq!(api.dialect, BatchDialect::Anthropic);
    }

    #[test]
    fn what_cannot_be_is_said() {
        for (line, why) in [
            ("api = \"file\"", "openai"),
            ("requests = 0", "whole number"),
            ("window = \"soon\"", "length of time"),
            ("request = 5", "did you mean `requests`"),
        ] {
            let error = read(&format!("[providers.openai.batch]\n{line}")).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
