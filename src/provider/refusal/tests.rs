use RefusalKind::*;
use reqwest::header::{HeaderName, HeaderValue};

use super::*;
use crate::provider::openai::Path;
use crate::provider::openai::read as read_any;

fn refuse(status: u16, headers: &[(&str, &str)], body: &str, quirks: &Quirks) -> Outcome {
    let headers = headers
        .iter()
        .map(|(name, value)| (HeaderName::try_from(*name).unwrap(), HeaderValue::from_str(value).unwrap()))
        .collect();
    let response = Response { status, headers: &headers, body: Bytes::copy_from_slice(body.as_bytes()) };
    read_any(&response, Path::Chat, quirks, "2026-11-21T12:00:00Z".parse().unwrap())
}

#[track_caller]
fn kind(outcome: &Outcome) -> RefusalKind {
    match outcome {
        Outcome::Refused(refusal) => refusal.kind,
        other => panic!("not a refusal: {other:?}"),
    }
}

#[test]
fn every_documented_error_is_understood() {
    #[rustfmt::skip]
    let cases: &[(&str, u16, &str, RefusalKind)] = &[
        ("too long", 400, r#"{"error":{"message":"m","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#, TooLong),
        ("flex not allowed", 400, r#"{"error":{"message":"m","type":"invalid_request_error","param":"service_tier","code":null}}"#, ModelGone),
        ("Azure filter", 400, r#"{"error":{"message":"m","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"hate":{"filtered":true}}}}}"#, Blocked),
        ("policy", 400, r#"{"error":{"message":"m","type":"invalid_request_error","code":"content_policy_violation"}}"#, Blocked),
        ("plain 400", 400, r#"{"error":{"message":"bad temperature","type":"invalid_request_error","param":"temperature","code":null}}"#, Invalid),
        ("bad key", 401, r#"{"error":{"message":"Incorrect API key provided","type":"invalid_request_error","code":"invalid_api_key"}}"#, Auth),
        ("401 without words", 401, "", Auth),
        ("region", 403, r#"{"error":{"message":"m","type":"request_forbidden","code":"unsupported_country_region_territory"}}"#, Auth),
        ("403 without words", 403, "{}", Auth),
        ("model gone", 404, r#"{"error":{"message":"The model `x` does not exist","type":"invalid_request_error","code":"model_not_found"}}"#, ModelGone),
        ("wrong address", 404, "404 page not found", ModelGone),
        ("lock", 409, r#"{"error":{"message":"m"}}"#, Server),
        ("too large", 413, r#"{"error":{"message":"m"}}"#, TooLong),
        ("unprocessable", 422, r#"{"error":{"message":"m"}}"#, Invalid),
        ("rpm", 429, r#"{"error":{"message":"m","type":"requests","code":"rate_limit_exceeded"}}"#, Rate),
        ("tpm", 429, r#"{"error":{"message":"m","type":"tokens","code":"rate_limit_exceeded"}}"#, Rate),
        ("rate by type", 429, r#"{"error":{"message":"m","type":"rate_limit_error","code":null}}"#, Rate),
        ("ramp", 429, r#"{"error":{"message":"m","type":"rate_limit_error","code":"slow_down"}}"#, Rate),
        ("flex full", 429, r#"{"error":{"message":"m","code":"resource_unavailable"}}"#, Capacity),
        ("prepaid gone", 429, r#"{"error":{"message":"m","type":"insufficient_quota","code":"credit_balance_exhausted"}}"#, NoCredit),
        ("organization cap", 429, r#"{"error":{"message":"m","type":"insufficient_quota","code":"organization_spend_limit_exceeded"}}"#, NoCredit),
        ("project cap", 429, r#"{"error":{"message":"m","type":"insufficient_quota","code":"project_spend_limit_exceeded"}}"#, NoCredit),
        ("vendor cap", 429, r#"{"error":{"message":"m","type":"insufficient_quota","code":"organization_usage_limit_exceeded"}}"#, NoCredit),
        ("older form", 429, r#"{"error":{"message":"You exceeded your current quota","type":"insufficient_quota","code":"insufficient_quota"}}"#, NoCredit),
        ("can never fit the limit", 429, r#"{"error":{"message":"Request too large for gpt-4 on tokens per min (TPM): Limit 10000, Requested 12000","type":"tokens","code":"rate_limit_exceeded"}}"#, TooLong),
        ("500", 500, r#"{"error":{"message":"m","type":"server_error"}}"#, Server),
        ("503 overloaded", 503, r#"{"error":{"message":"m","type":"service_unavailable_error","code":"server_is_overloaded"}}"#, Capacity),
        ("503", 503, "Service Unavailable", Server),
        ("529", 529, "", Capacity),
        // Other vendors.
        ("llama.cpp too long", 400, r#"{"error":{"code":400,"message":"request (3054 tokens) exceeds the available context size (512 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":3054,"n_ctx":512}}"#, TooLong),
        ("llama.cpp without embeddings", 501, r#"{"error":{"code":501,"message":"This server does not support embeddings. Start it with `--embeddings`","type":"not_supported_error"}}"#, ModelGone),
        ("LiteLLM key unknown to it", 400, r#"{"error":{"message":"No connected db.","type":"no_db_connection","param":null,"code":"400"}}"#, Auth),
        ("Portkey found nobody", 500, r#"{"html-message":"Message: fetch failed Cause: Error: connect ECONNREFUSED 127.0.0.1:1 Name: TypeError"}"#, Server),
        ("DeepSeek balance", 402, r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#, NoCredit),
        ("DeepSeek parameters", 422, r#"{"error":{"message":"Invalid parameters: the server is overloaded","code":"invalid_request_error"}}"#, Invalid),
        ("DeepSeek overload", 503, r#"{"error":{"message":"Server overloaded, please retry","code":"service_unavailable"}}"#, Capacity),
        ("DeepSeek model", 400, r#"{"error":{"message":"Model Not Exist","type":"invalid_request_error","code":"invalid_request_error"}}"#, ModelGone),
        ("DashScope native key", 401, r#"{"code":"InvalidApiKey","message":"Invalid API-key provided.","request_id":"r"}"#, Auth),
        ("DashScope access", 403, r#"{"code":"AccessDenied","message":"m","request_id":"r"}"#, Auth),
        ("DashScope overdue", 400, r#"{"code":"Arrearage","message":"Access denied, please make sure your account is in good standing.","request_id":"r"}"#, NoCredit),
        ("DashScope model", 404, r#"{"error":{"code":"ModelNotFound","message":"m"}}"#, ModelGone),
        ("DashScope rpm", 429, r#"{"code":"Throttling.RateQuota","message":"Requests rate limit exceeded","request_id":"r"}"#, Rate),
        ("DashScope tpm", 429, r#"{"code":"Throttling.AllocationQuota","message":"Allocated quota exceeded, please increase your quota limit.","request_id":"r"}"#, Rate),
        ("DashScope tpm, compatible", 429, r#"{"error":{"code":"insufficient_quota","message":"Allocated quota exceeded, please increase your quota limit.","type":"insufficient_quota"}}"#, Rate),
        ("DashScope free quota", 429, r#"{"code":"Throttling.AllocationQuota","message":"Free allocated quota exceeded.","request_id":"r"}"#, NoCredit),
        ("DashScope free only", 403, r#"{"code":"AllocationQuota.FreeTierOnly","message":"The free tier of the model has been exhausted.","request_id":"r"}"#, NoCredit),
        ("DashScope parameters", 400, r#"{"code":"InvalidParameter","message":"m"}"#, Invalid),
        ("DashScope inspection", 400, r#"{"error":{"code":"data_inspection_failed","message":"m"}}"#, Blocked),
        ("DashScope too long", 400, r#"{"error":{"code":"invalid_parameter_error","message":"Range of input length should be [1, 129024]"}}"#, TooLong),
        ("Zhipu key", 401, r#"{"error":{"code":"1002","message":"m"}}"#, Auth),
        ("Zhipu arrears", 429, r#"{"error":{"code":"1113","message":"m"}}"#, NoCredit),
        ("Zhipu arrears as a number", 429, r#"{"error":{"code":1113,"message":"m"}}"#, NoCredit),
        ("Zhipu locked", 429, r#"{"error":{"code":"1112","message":"m"}}"#, Auth),
        ("Zhipu parameters", 400, r#"{"error":{"code":"1214","message":"m"}}"#, Invalid),
        ("Zhipu model", 400, r#"{"error":{"code":"1211","message":"m"}}"#, ModelGone),
        ("Zhipu retired", 400, r#"{"error":{"code":"1221","message":"m"}}"#, ModelGone),
        ("Zhipu too long", 400, r#"{"error":{"code":"1261","message":"m"}}"#, TooLong),
        ("Zhipu unsafe", 400, r#"{"error":{"code":"1301","message":"m"}}"#, Blocked),
        ("Zhipu rate", 429, r#"{"error":{"code":"1302","message":"m"}}"#, Rate),
        ("Zhipu frequency", 429, r#"{"error":{"code":"1303","message":"m"}}"#, Rate),
        ("Zhipu daily", 429, r#"{"error":{"code":"1304","message":"m"}}"#, Rate),
        ("Zhipu overloaded", 429, r#"{"error":{"code":"1305","message":"m"}}"#, Capacity),
        ("Zhipu window", 429, r#"{"error":{"code":"1308","message":"m"}}"#, Rate),
        ("Zhipu busy", 429, r#"{"error":{"code":"1312","message":"m"}}"#, Capacity),
        ("Zhipu fair use", 429, r#"{"error":{"code":"1313","message":"m"}}"#, Rate),
        ("Groq flex", 498, r#"{"error":{"message":"m","code":"capacity_exceeded"}}"#, Capacity),
        ("Groq too large", 413, r#"{"error":{"message":"Request Entity Too Large","type":"tokens","code":"rate_limit_exceeded"}}"#, TooLong),
        ("Groq retired", 400, r#"{"error":{"message":"m","type":"invalid_request_error","code":"model_decommissioned"}}"#, ModelGone),
        ("Mistral payment", 402, r#"{"object":"error","message":"m","type":"x","code":"y"}"#, NoCredit),
        ("Mistral model", 400, r#"{"object":"error","message":"Invalid model: x","type":"invalid_model","param":null,"code":"1500"}"#, ModelGone),
        ("Mistral rate", 429, r#"{"object":"error","message":"Requests rate limit exceeded","type":"rate_limited","param":null,"code":"1300"}"#, Rate),
        ("FastAPI", 422, r#"{"detail":[{"type":"missing","loc":["body","messages"],"msg":"Field required","input":{}}]}"#, Invalid),
        ("FastAPI text", 401, r#"{"detail":"Unauthorized"}"#, Auth),
        ("Bedrock throttle", 429, r#"{"__type":"ThrottlingException","message":"m"}"#, Rate),
        ("Bedrock not ready", 429, r#"{"__type":"ModelNotReadyException","message":"m"}"#, Capacity),
        ("Bedrock validation", 400, r#"{"__type":"ValidationException","message":"m"}"#, Invalid),
        ("Bedrock quota", 400, r#"{"__type":"ServiceQuotaExceededException","message":"m"}"#, Rate),
        ("Bedrock overload", 529, r#"{"message":"m"}"#, Capacity),
        ("DeepSeek format", 400, r#"{"error":{"message":"m","type":"invalid_request_error","code":"invalid_request_error"}}"#, Invalid),
        ("DeepSeek key", 401, r#"{"error":{"message":"Authentication Fails","type":"authentication_error","code":"invalid_request_error"}}"#, Auth),
        ("DeepSeek concurrency", 429, r#"{"error":{"message":"Concurrency limit reached","code":"rate_limit_reached"}}"#, Rate),
        ("DashScope burst", 429, r#"{"error":{"code":"limit_burst_rate","message":"Request rate increased too quickly"}}"#, Rate),
        ("Zhipu locked account", 429, r#"{"error":{"code":"1121","message":"m"}}"#, Auth),
        ("Zhipu other parameters", 400, r#"{"error":{"code":"1210","message":"m"}}"#, Invalid),
        ("Zhipu missing parameter", 400, r#"{"error":{"code":1213,"message":"m"}}"#, Invalid),
        ("Zhipu quota of a week", 429, r#"{"error":{"code":"1310","message":"m"}}"#, Rate),
        ("Mistral server", 503, r#"{"object":"error","message":"m","type":"x","code":"y"}"#, Server),
        ("xAI plain string, 503", 503, r#"{"error":"at capacity"}"#, Server),
        ("plain string", 429, r#"{"error":"Too many requests"}"#, Rate),
        ("plain string, 500", 500, r#"{"error":"boom"}"#, Server),
        ("xAI", 400, r#"{"code":"Client specified an invalid argument","error":"Incorrect API key"}"#, Invalid),
        ("Gemini array", 429, r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED"}}]"#, Rate),
        ("Gemini bad key", 400, r#"[{"error":{"code":400,"message":"m","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"API_KEY_INVALID"}]}}]"#, Auth),
        ("Anthropic spend", 429, r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"enforced_spend_limit_reached"}}}"#, NoCredit),
        ("Anthropic own limit", 400, r#"{"type":"error","error":{"type":"invalid_request_error","message":"You have reached your specified API usage limits."}}"#, NoCredit),
        ("Anthropic overload", 529, r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#, Capacity),
        ("vLLM too long", 400, r#"{"object":"error","message":"This model's maximum context length is 4096 tokens.","type":"BadRequestError","param":null,"code":400}"#, TooLong),
        ("Ollama model", 404, r#"{"error":{"message":"model \"x\" not found, try pulling it first","type":"api_error","param":null,"code":null}}"#, ModelGone),
        // Gateways.
        ("OpenRouter context", 400, r#"{"error":{"code":400,"message":"m","metadata":{"error_type":"context_length_exceeded"}}}"#, TooLong),
        ("OpenRouter max tokens", 400, r#"{"error":{"code":400,"message":"m","metadata":{"error_type":"max_tokens_exceeded"}}}"#, TooLong),
        ("OpenRouter tokens", 400, r#"{"error":{"code":400,"message":"m","metadata":{"error_type":"token_limit_exceeded"}}}"#, TooLong),
        ("OpenRouter string", 400, r#"{"error":{"code":400,"message":"m","metadata":{"error_type":"string_too_long"}}}"#, TooLong),
        ("OpenRouter key", 401, r#"{"error":{"code":401,"message":"m","metadata":{"error_type":"authentication"}}}"#, Auth),
        ("OpenRouter credit", 402, r#"{"error":{"code":402,"message":"m","metadata":{"error_type":"payment_required"}}}"#, NoCredit),
        ("OpenRouter in flight", 402, r#"{"error":{"code":"in_flight_budget_exhausted","message":"m"}}"#, Rate),
        ("OpenRouter permission", 403, r#"{"error":{"code":403,"message":"m","metadata":{"error_type":"permission_denied"}}}"#, Auth),
        ("OpenRouter moderation", 403, r#"{"error":{"code":403,"message":"m","metadata":{"reasons":["violence"],"flagged_input":"x"}}}"#, Blocked),
        ("OpenRouter rate", 429, r#"{"error":{"code":429,"message":"m","metadata":{"error_type":"rate_limit_exceeded"}}}"#, Rate),
        ("OpenRouter unavailable", 502, r#"{"error":{"code":502,"message":"m","metadata":{"error_type":"provider_unavailable"}}}"#, Server),
        ("OpenRouter overloaded", 503, r#"{"error":{"code":503,"message":"m","metadata":{"error_type":"provider_overloaded"}}}"#, Capacity),
        ("OpenRouter server", 500, r#"{"error":{"code":500,"message":"m","metadata":{"error_type":"server"}}}"#, Server),
        ("OpenRouter raw", 400, r#"{"error":{"code":400,"message":"Provider returned error","metadata":{"raw":"This model's maximum context length is 8192 tokens","provider_name":"x"}}}"#, TooLong),
        ("OpenRouter feature", 404, r#"{"error":{"code":404,"message":"No endpoints found that support tool use."}}"#, Invalid),
        ("LiteLLM context", 400, r#"{"error":{"message":"litellm.ContextWindowExceededError: litellm.BadRequestError: m","type":null,"param":null,"code":"400"}}"#, TooLong),
        ("LiteLLM policy", 400, r#"{"error":{"message":"litellm.ContentPolicyViolationError: m","type":null,"param":null,"code":"400"}}"#, Blocked),
        ("LiteLLM mock policy", 400, r#"{"error":{"message":"litellm.BadRequestError: Exception: content_filter_policy","type":null,"param":null,"code":"400"}}"#, Blocked),
        ("LiteLLM rate", 429, r#"{"error":{"message":"litellm.RateLimitError: m","type":"throttling_error","param":null,"code":"429"}}"#, Rate),
        ("LiteLLM budget", 400, r#"{"error":{"message":"BudgetExceededError: Budget has been exceeded!","type":"budget_exceeded","param":null,"code":"400"}}"#, NoCredit),
        ("LiteLLM server", 500, r#"{"error":{"message":"litellm.InternalServerError: m","type":null,"param":null,"code":"500"}}"#, Server),
        ("LiteLLM alias", 400, r#"{"error":{"message":"/chat/completions: Invalid model name passed in model=x","code":"400"}}"#, ModelGone),
        ("Portkey set-up", 400, r#"{"status":"failure","message":"Either x-portkey-config or x-portkey-provider header is required"}"#, Auth),
        ("LiteLLM before an empty account", 429, r#"{"error":{"message":"litellm.RateLimitError: RateLimitError: OpenAIException - You exceeded your current quota, please check your plan and billing details.","type":"throttling_error","param":null,"code":"429"}}"#, NoCredit),
        ("LiteLLM before a busy Gemini", 429, r#"{"error":{"message":"litellm.RateLimitError: GeminiException - You exceeded your current quota","type":"throttling_error","param":null,"code":"429"}}"#, Rate),
        // What nobody documents.
        ("redirect", 302, "", ModelGone),
        ("HTML", 403, "<html><head><title>Attention Required!</title></head></html>", Auth),
        ("teapot", 418, "", Invalid),
        ("odd 5xx", 507, "", Server),
        ("error is a list", 400, r#"{"error":[1,2]}"#, Invalid),
        ("body is a number", 400, "7", Invalid),
        ("nested nulls", 400, r#"{"error":{"message":null,"code":null,"metadata":null,"details":null}}"#, Invalid),
    ];
    for (what, status, body, expected) in cases {
        let outcome = refuse(*status, &[], body, &Quirks::default());
        assert_eq!(kind(&outcome), *expected, "{what}");
    }
}

#[test]
fn a_gateway_that_lost_its_upstream_leaves_the_outcome_unknown() {
    for (status, body, expected) in [
        (408, r#"{"error":{"message":"timed out","type":"timeout_error","code":null}}"#, ErrorCode::Timeout),
        (408, r#"{"error":{"message":"litellm.Timeout: overloaded","code":"408"}}"#, ErrorCode::Timeout),
        (502, r#"{"error":{"message":"m","type":"server_error"}}"#, ErrorCode::ServerError),
        (502, "<html><title>502 Bad Gateway</title></html>", ErrorCode::ServerError),
        (504, r#"{"type":"error","error":{"type":"timeout_error","message":"m"}}"#, ErrorCode::Timeout),
        (500, r#"{"status":"failure","message":"Something went wrong"}"#, ErrorCode::Network),
        (
            500,
            r#"{"html-message":"Message: fetch failed Cause: Error: read ECONNRESET Name: TypeError"}"#,
            ErrorCode::Network,
        ),
        (
            500,
            r#"{"error":{"message":"litellm.InternalServerError: InternalServerError: OpenAIException - Connection error.","type":"internal_server_error","param":null,"code":"500"}}"#,
            ErrorCode::Network,
        ),
        (520, "", ErrorCode::ServerError),
        (524, "", ErrorCode::Timeout),
        (528, "", ErrorCode::ServerError),
    ] {
        match refuse(status, &[], body, &Quirks::default()) {
            Outcome::Unknown { code, http_status, .. } => {
                assert_eq!((code, http_status), (expected, Some(status)));
            }
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[test]
fn an_error_inside_a_success_is_a_refusal_by_its_own_code() {
    for (body, expected) in [
        (r#"{"error":{"code":429,"message":"m"}}"#, Rate),
        (r#"{"error":{"code":"insufficient_quota","message":"m"}}"#, NoCredit),
        (r#"{"error":{"code":502,"message":"m","metadata":{"error_type":"provider_unavailable"}}}"#, Server),
        (
            r#"{"id":"x","choices":[{"finish_reason":"error","message":{"content":"half"},"error":{"code":503,"message":"m","metadata":{"error_type":"provider_overloaded"}}}]}"#,
            Capacity,
        ),
        (r#"{"choices":[{"finish_reason":"error","message":{"content":"half"}}]}"#, Server),
        (r#"{"error":"boom"}"#, Server),
    ] {
        assert_eq!(kind(&refuse(200, &[], body, &Quirks::default())), expected, "{body}");
    }
    let unknown = refuse(200, &[], r#"{"error":{"code":504,"message":"m"}}"#, &Quirks::default());
    assert!(matches!(unknown, Outcome::Unknown { code: ErrorCode::Timeout, http_status: Some(200), .. }));
}

#[test]
fn what_a_vendor_means_goes_before_what_the_family_means() {
    let quirks = Quirks {
        error_codes: [("insufficient_quota".to_owned(), Rate), ("tokens".to_owned(), Capacity)].into(),
        statuses: [(498, Capacity), (503, Capacity)].into(),
        ..Quirks::default()
    };
    for (status, body, expected) in [
        (429, r#"{"error":{"code":"insufficient_quota","message":"m"}}"#, Rate),
        (429, r#"{"error":{"type":"tokens","message":"m"}}"#, Capacity),
        (498, "", Capacity),
        (503, "", Capacity),
        // One code, two meanings: the message decides.
        (
            429,
            r#"{"error":{"code":"insufficient_quota","message":"Free allocated quota exceeded."}}"#,
            NoCredit,
        ),
        // Its statuses are weaker than any code.
        (503, r#"{"error":{"code":"model_not_found","message":"m"}}"#, ModelGone),
    ] {
        assert_eq!(kind(&refuse(status, &[], body, &quirks)), expected, "{status} {body}");
    }
}

#[test]
fn a_refusal_keeps_the_words_the_wait_and_the_name_of_the_request() {
    let body = r#"{"error":{"message":"Rate limit reached","code":"rate_limit_exceeded"}}"#;
    let headers = [("retry-after", "7"), ("x-request-id", "req_1")];
    let Outcome::Refused(refusal) = refuse(429, &headers, body, &Quirks::default()) else { panic!() };
    assert_eq!(refusal.message, "Rate limit reached");
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(7)));
    assert_eq!(refusal.request_id.as_deref(), Some("req_1"));
    assert_eq!(refusal.body, body.as_bytes());

    let body = r#"[{"error":{"code":429,"message":"m","status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.5s"}]}}]"#;
    let Outcome::Refused(refusal) = refuse(429, &[], body, &Quirks::default()) else { panic!() };
    assert_eq!(refusal.retry_after, Some(Duration::from_millis(34_500)));
    let Outcome::Refused(refusal) = refuse(429, &[("retry-after", "2")], body, &Quirks::default()) else {
        panic!()
    };
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(2)), "a header goes before the body");
}

#[test]
fn messages_are_readable_whatever_the_body() {
    for (status, body, expected) in [
        (
            422,
            r#"{"detail":[{"loc":["body","n"],"msg":"too small","input":"secret prompt"}]}"#,
            "body.n: too small",
        ),
        (403, "<HTML>\n<title> Just a moment </title>", "an HTML page: Just a moment"),
        (503, "no healthy upstream", "no healthy upstream"),
        (500, "", "HTTP 500 without a message"),
        (400, r#"{"error":{"message":{"a":1}}}"#, r#"{"a":1}"#),
    ] {
        let Outcome::Refused(refusal) = refuse(status, &[], body, &Quirks::default()) else {
            panic!("{body}")
        };
        assert_eq!(refusal.message, expected);
    }
    let Outcome::Refused(redirect) = refuse(307, &[("location", "https://x/")], "", &Quirks::default())
    else {
        panic!()
    };
    assert!(redirect.message.contains("https://x/"), "{}", redirect.message);

    let long = format!(r#"{{"error":"{}"}}"#, "é".repeat(5_000));
    let Outcome::Refused(refusal) = refuse(400, &[], &long, &Quirks::default()) else { panic!() };
    assert_eq!(refusal.message.chars().count(), MOST_MESSAGE + 1);
}

#[test]
fn bedrock_names_the_exception_in_a_header() {
    let headers = [("x-amzn-errortype", "ThrottlingException:http://internal")];
    assert_eq!(kind(&refuse(400, &headers, r#"{"message":"m"}"#, &Quirks::default())), Rate);
}
