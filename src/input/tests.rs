use std::io::{Cursor, Read};

use super::*;
use crate::check::Check;
use crate::job::{Ladder, Needs};

fn options() -> ReadOptions {
    let mut options = ReadOptions::new("2026-11-21T18:00:00Z".parse().unwrap());
    options.zone = Zone::Named(chrono_tz::UTC);
    options.class.ladder = Ladder(vec![vec!["sim/small".to_owned()], vec!["sim/large".to_owned()]]);
    options
}

fn source(name: &str, bytes: &[u8]) -> Source {
    let reader: Box<dyn Read> = Box::new(Cursor::new(bytes.to_vec()));
    Source::from_reader(name, None, reader).unwrap()
}

fn read_as(name: &str, text: &[u8], options: &ReadOptions) -> Result<(Vec<Item>, Summary), ReadError> {
    let mut items = Vec::new();
    let mut keep = |item| {
        items.push(item);
        Ok(())
    };
    read(source(name, text), options, &mut keep, None).map(|summary| (items, summary))
}

fn good(text: &str, options: &ReadOptions) -> (Vec<Item>, Summary) {
    read_as("a.jsonl", text.as_bytes(), options).unwrap_or_else(|error| panic!("{error}"))
}

fn one(line: &str) -> (Item, Class) {
    let (mut items, summary) = good(line, &options());
    let item = items.pop().unwrap();
    let class = summary.classes[usize::from(item.class)].class.clone();
    (item, class)
}

fn body(item: &Item) -> &str {
    std::str::from_utf8(&item.body.json).unwrap()
}

fn bad_lines(text: &[u8], options: &ReadOptions) -> BadLines {
    match read_as("a.jsonl", text, options) {
        Err(ReadError::BadLines(bad)) => *bad,
        other => panic!("{other:?}"),
    }
}

/// The message of the only bad line.
fn refusal(text: &str) -> String {
    let bad = bad_lines(text.as_bytes(), &options());
    assert_eq!(bad.n_bad, 1, "{}", bad.render());
    let line = &bad.lines[0];
    match line.column {
        Some(column) => format!("{}:{column}: {}", line.line, line.message),
        None => format!("{}: {}", line.line, line.message),
    }
}

const CHAT: &str = r#"{"custom_id":"r-1","method":"POST","url":"/v1/chat/completions","body":{"model":"gpt-5-mini", "messages":[{"role":"user","content":"hi"}],"seed":12345678901234567890}}"#;

// Formats

#[test]
fn an_openai_batch_line_keeps_its_body_byte_for_byte() {
    let (item, class) = one(CHAT);
    let at = CHAT.find(r#"{"model""#).unwrap();
    assert_eq!(body(&item), &CHAT[at..CHAT.len() - 1]);
    assert_eq!((&*item.custom_id, item.wire, item.index), ("r-1", Wire::Chat, 0));
    assert_eq!(class.ladder.to_string(), "gpt-5-mini");
    let sent = item.body.for_model("sim/x");
    assert!(sent.starts_with(br#"{"model":"sim/x", "messages""#));
}

#[test]
fn endpoints_may_be_mixed_within_a_file() {
    let text = r#"{"custom_id":"a","method":"POST","url":"/v1/responses","body":{"input":"hi","max_output_tokens":5}}
{"custom_id":"b","method":"POST","url":"/v1/embeddings","body":{"input":["x","y"],"model":"e"}}
{"custom_id":"c","method":"POST","url":"/v1/chat/completions","body":{"messages":[{"role":"user","content":"x"}]}}"#;
    let (items, summary) = good(text, &options());
    let wires: Vec<Wire> = items.iter().map(|item| item.wire).collect();
    assert_eq!(wires, [Wire::Responses, Wire::Embeddings, Wire::Chat]);
    assert_eq!(summary.wires, [Wire::Chat, Wire::Responses, Wire::Embeddings]);
    let limits: Vec<_> = items.iter().map(|item| item.max_output).collect();
    assert_eq!(limits, [Some(5), Some(0), None]);
    assert_eq!((summary.n_items, summary.n_unlimited), (3, 1));
}

#[test]
fn an_anthropic_batch_line_is_a_messages_request() {
    let (item, class) = one(
        r#"{"custom_id":"a","params":{"model":"claude-haiku","max_tokens":64,"messages":[{"role":"user","content":"hi"}]}}"#,
    );
    assert_eq!((item.wire, item.max_output), (Wire::Messages, Some(64)));
    assert_eq!(class.ladder.to_string(), "claude-haiku");
}

#[test]
fn a_gemini_batch_line_is_named_by_its_key() {
    let (item, class) = one(
        r#"{"key":"k-1","request":{"model":"models/gemini-flash","contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":9}}}"#,
    );
    assert_eq!((&*item.custom_id, item.wire, item.max_output), ("k-1", Wire::GenerateContent, Some(9)));
    assert_eq!(class.ladder.to_string(), "gemini-flash");
}

#[test]
fn prompt_lines_become_chats() {
    let (item, class) =
        one(r#"{"id":7,"prompt":"a\u0000\ud800b","temperature":0.20,"model":"m","source":"web"}"#);
    assert_eq!(
        body(&item),
        r#"{"messages":[{"role":"user","content":"a\u0000\ud800b"}],"temperature":0.20}"#
    );
    assert_eq!((&*item.custom_id, class.ladder.to_string().as_str()), ("7", "m"));
    let (item, class) =
        one(r#"{"prompt":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}],"system":"s"}"#);
    assert_eq!(
        body(&item),
        r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":"a"}]}"#
    );
    assert_eq!((&*item.custom_id, class), ("line-1", options().class));
}

#[test]
fn messages_and_conversations_lose_the_answer_they_end_with() {
    for line in [
        r#"{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}"#,
        r#"{"conversations":[{"from":"human","value":"a"},{"from":"gpt","value":"b"}]}"#,
    ] {
        let (items, summary) = good(line, &options());
        assert_eq!(body(&items[0]), r#"{"messages":[{"role":"user","content":"a"}]}"#);
        assert!(summary.notes[0].contains("ended with an assistant turn"), "{:?}", summary.notes);
    }
}

#[test]
fn rows_fill_the_template() {
    let mut options = options();
    options.prompt = Some(Template::parse("Summarise: {{ text }}").unwrap());
    let expected = r#"{"messages":[{"role":"user","content":"Summarise: a \"b\""}]}"#;
    for (name, text) in [
        ("a.jsonl", &br#"{"id":"x","text":"a \"b\"","model":"phone"}"#[..]),
        ("a.csv", b"id,text\nx,\"a \"\"b\"\"\"\n"),
        ("a.tsv", b"id\ttext\nx\t\"a \"\"b\"\"\"\n"),
    ] {
        let (items, summary) = read_as(name, text, &options).unwrap();
        assert_eq!((body(&items[0]), &*items[0].custom_id), (expected, "x"), "{name}");
        assert_eq!(summary.classes[0].class, options.class);
    }
    let (items, _) = read_as("a.txt", b"a \"b\"\n", &options).unwrap();
    assert_eq!((body(&items[0]), &*items[0].custom_id), (expected, "line-1"));
}

#[test]
fn a_table_with_a_prompt_column_needs_no_template() {
    let (items, _) = read_as("a.csv", b"id,prompt,temperature\n7,hello,0.2\n", &options()).unwrap();
    assert_eq!(body(&items[0]), r#"{"messages":[{"role":"user","content":"hello"}]}"#);
}

#[test]
fn bare_text_is_one_prompt_a_line() {
    let (items, summary) =
        read_as("a.txt", b"\xef\xbb\xbfHello \xf0\x9f\x99\x82\r\n\r\n{not json\n", &options()).unwrap();
    assert_eq!(body(&items[0]), r#"{"messages":[{"role":"user","content":"Hello 🙂"}]}"#);
    assert_eq!(body(&items[1]), r#"{"messages":[{"role":"user","content":"{not json"}]}"#);
    assert_eq!(&*items[1].custom_id, "line-3");
    assert_eq!(summary.notes, ["1 blank line skipped"]);
}

#[test]
fn parquet_rows_are_read_from_a_file() {
    use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::SerializedFileWriter;
    use parquet::schema::parser::parse_message_type;

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.data");
    let schema = "message row { REQUIRED BYTE_ARRAY prompt (UTF8); REQUIRED INT64 id; }";
    let schema = std::sync::Arc::new(parse_message_type(schema).unwrap());
    let file = std::fs::File::create(&path).unwrap();
    let mut writer =
        SerializedFileWriter::new(file, schema, std::sync::Arc::new(WriterProperties::default())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    let texts = [ByteArray::from("one"), ByteArray::from("two \"2\"")];
    column.typed::<ByteArrayType>().write_batch(&texts, None, None).unwrap();
    column.close().unwrap();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<Int64Type>().write_batch(&[1, 9_007_199_254_740_993], None, None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();

    let source = Source::open(path.to_str().unwrap(), None).unwrap();
    assert_eq!(source.kind(), FileKind::Parquet);
    let mut items = Vec::new();
    let mut keep = |item| {
        items.push(item);
        Ok(())
    };
    let summary = read(source, &options(), &mut keep, None).unwrap();
    assert_eq!(&*items[1].custom_id, "9007199254740993");
    assert_eq!(body(&items[1]), r#"{"messages":[{"role":"user","content":"two \"2\""}]}"#);
    let bytes = std::fs::read(&path).unwrap();
    assert_eq!(summary.source.sha256, sha256(&bytes));
    assert_eq!(summary.source.bytes, bytes.len() as u64);
}

// Files

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn packed_files_are_unpacked_and_hashed_as_they_lie_on_disk() {
    use std::io::Write as _;
    let text = format!("{CHAT}\n");
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).unwrap();
    let gz = gz.finish().unwrap();
    let zst = zstd::encode_all(text.as_bytes(), 1).unwrap();
    for (name, bytes) in [("a.jsonl.gz", &gz), ("upload", &zst), ("a.jsonl", &text.clone().into_bytes())] {
        let (items, summary) = read_as(name, bytes, &options()).unwrap();
        assert_eq!(items.len(), 1, "{name}");
        assert_eq!(summary.source.sha256, sha256(bytes), "{name}");
        assert_eq!(summary.source.bytes, bytes.len() as u64, "{name}");
    }
    let cut = &gz[..gz.len() / 2];
    assert!(matches!(read_as("a.gz", cut, &options()), Err(ReadError::Io { .. })));
}

#[test]
fn a_limit_reads_fewer_lines_but_hashes_the_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.txt");
    let text = "one\ntwo\nthree\n".repeat(100_000);
    std::fs::write(&path, &text).unwrap();
    let options = ReadOptions { limit: Some(2), ..options() };
    let source = Source::open(path.to_str().unwrap(), None).unwrap();
    let summary = read(source, &options, &mut |_| Ok(()), None).unwrap();
    assert_eq!((summary.n_items, summary.source.sha256), (2, sha256(text.as_bytes())));
}

#[test]
fn files_that_are_not_there_or_are_folders_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("no.jsonl");
    let error = Source::open(missing.to_str().unwrap(), None).err().unwrap();
    assert!(error.to_string().contains("no.jsonl: cannot be read"));
    let error = Source::open(folder.path().to_str().unwrap(), None).err().unwrap();
    assert!(error.to_string().contains("is a folder"));
}

#[test]
fn an_empty_file_has_no_requests() {
    for text in ["", "\n\n  \n", "\u{feff}"] {
        let error = read_as("a.jsonl", text.as_bytes(), &options()).unwrap_err();
        assert!(matches!(error, ReadError::NoRequests(_)), "{error}");
    }
    assert!(matches!(read_as("a.csv", b"id,prompt\n", &options()), Err(ReadError::NoRequests(_))));
}

#[test]
fn bom_crlf_blank_lines_and_a_missing_final_newline_lose_nothing() {
    let second = CHAT.replace("r-1", "r-2");
    let text = format!("\u{feff}{CHAT}\r\n\r\n\n   \r\n{second}");
    let (items, summary) = good(&text, &options());
    assert_eq!(items.len(), 2);
    assert_eq!(summary.notes, ["3 blank lines skipped"]);
}

#[test]
fn other_encodings_are_refused_with_line_and_column() {
    let bytes = [CHAT.as_bytes(), b"\n{\"prompt\":\"caf\xe9\"}\n{\"prompt\":\"a\0b\"}\n"].concat();
    let bad = bad_lines(&bytes, &options());
    let found: Vec<_> = bad.lines.iter().map(|line| (line.line, line.column)).collect();
    assert_eq!(found, [(2, Some(15)), (3, Some(13))]);
    assert!(bad.lines.iter().all(|line| line.message.contains("save the file as UTF-8")));
    let utf16: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let error = read_as("a.jsonl", &utf16, &options()).unwrap_err();
    assert!(error.to_string().contains("a.jsonl: line 1, column 1: the file is UTF-16; save it as UTF-8"));
}

// Lines

#[test]
fn lines_that_are_not_an_object_are_refused_with_the_place() {
    let deep = format!("{{\"prompt\":{}1{}}}", "[".repeat(100), "]".repeat(100));
    for (line, message) in [
        (r#"{"prompt":NaN}"#, "1:11: NaN and Infinity are not JSON; write a number or null"),
        (r#"{"prompt":"é",}"#, "1:15: a comma before the closing brace"),
        (r#"["a"]"#, "1:1: is an array; each line must be one JSON object"),
        ("hello", "1:1: not JSON"),
        (&deep, "1:110: nested deeper than 100 levels"),
        (r#"{"prompt":"a","\u0070rompt":"b"}"#, "1:15: the key \"prompt\" is used twice"),
        ("{}", "1: is an empty object"),
        (r#"{"promt":"a"}"#, "1: has no request; did you mean `prompt` by `promt`?"),
        (
            r#"{"title":"a"}"#,
            "1: has no request, only title; --prompt \"… {{ title }} …\" makes one from its fields",
        ),
        (r#"{"prompt":7}"#, "1: `prompt` is a number; it must be text or a list of messages"),
        (r#"{"prompt":" "}"#, "1: `prompt` is empty"),
        (r#"{"messages":"a"}"#, "1: `messages` is a string; it must be a list"),
        (r#"{"prompt":"a","overnigth":{}}"#, "1: unknown field `overnigth` (did you mean `overnight`?)"),
        (
            r#"{"prompt":"a","overnight":{"priorty":1}}"#,
            "1: unknown field `priorty` (did you mean `priority`?)",
        ),
        (r#"{"prompt":"a","n":0}"#, "1: `n` must be a whole number from 1 to 65535"),
        (
            r#"{"custom_id":"a","method":"GET","url":"/v1/responses","body":{}}"#,
            "1: `method` must be \"POST\"",
        ),
        (r#"{"custom_id":"a","method":"POST","url":"/v1/responses"}"#, "1: `body` is missing"),
        (
            r#"{"custom_id":"a","method":"POST","url":"/v1/moderations","body":{}}"#,
            "1: `url` \"/v1/moderations\" is not an endpoint that is served; use /v1/chat/completions, /v1/responses or /v1/embeddings",
        ),
    ] {
        assert_eq!(refusal(line), message, "{line}");
    }
}

#[test]
fn a_huge_line_is_refused_and_the_next_one_read() {
    let options = ReadOptions { max_line: 1_000, ..options() };
    let text = format!("{{\"prompt\":\"{}\"}}\n{{\"prompt\":\"a\"}}\n", "x".repeat(500_000));
    let bad = bad_lines(text.as_bytes(), &options);
    assert_eq!((bad.n_bad, bad.n_good), (1, 1));
    assert_eq!(bad.lines[0].message, "longer than 1000 bytes, the most a line may have");
}

#[test]
fn one_file_holds_one_format() {
    let text = format!("{CHAT}\n{{\"prompt\":\"a\"}}\n");
    assert_eq!(
        refusal(&text),
        "2: is a `prompt` line, but line 1 is an OpenAI batch request; one file holds one format"
    );
    let options = ReadOptions { prompt: Some(Template::parse("{{ a }}").unwrap()), ..options() };
    assert!(bad_lines(CHAT.as_bytes(), &options).lines[0].message.contains("leave --prompt out"));
}

#[test]
fn all_bad_lines_are_reported_at_once() {
    let text = "{\"prompt\":\"a\"}\nnope\n{\"prompt\":\"b\"}\n{\"prompt\":\"c\"\n";
    let mut n_given = 0;
    let mut count = |_| {
        n_given += 1;
        Ok(())
    };
    let error = read(source("jobs/x.jsonl", text.as_bytes()), &options(), &mut count, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "error: jobs/x.jsonl: 2 of 4 lines cannot be used, nothing was queued\n  \
         line 2, column 1: not JSON\n  \
         line 4, column 14: the JSON ends too early\n\
         fix these lines and submit again, or pass --skip-bad to queue the other 2"
    );
    assert_eq!(n_given, 1, "nothing is given out after the first bad line");
}

#[test]
fn bad_lines_can_be_written_aside() {
    let text = "{\"prompt\":\"a\"}\r\nnope \u{fffd}\n{\"prompt\":\"b\"}\n{\"prompt\":\"c\"\n";
    let (mut items, mut rejects) = (Vec::new(), Vec::new());
    let mut keep = |item: Item| {
        items.push((item.index, item.custom_id.to_string()));
        Ok(())
    };
    let source_ = source("x.jsonl", text.as_bytes());
    let summary = read(source_, &options(), &mut keep, Some(&mut rejects)).unwrap();
    assert_eq!(items, [(0, "line-1".to_owned()), (1, "line-3".to_owned())]);
    assert_eq!(rejects, "nope \u{fffd}\n{\"prompt\":\"c\"\n".as_bytes());
    assert_eq!((summary.n_items, summary.rejected.n_bad), (2, 2));
    assert!(summary.notes[0].contains("2 lines cannot be used and were left out"));
    let only_bad = read(source("x.jsonl", b"nope"), &options(), &mut |_| Ok(()), Some(&mut rejects));
    assert!(matches!(only_bad, Err(ReadError::BadLines(_))));
}

#[test]
fn a_file_that_is_one_json_array_gets_a_hint() {
    let bad = bad_lines(b"[\n{\"prompt\":\"a\"},\n{\"prompt\":\"b\"}\n]\n", &options());
    assert!(bad.render().contains("jq -c '.[]'"), "{}", bad.render());
}

// Ids

#[test]
fn repeated_ids_name_both_lines() {
    let text = format!("{CHAT}\n\n{}\n{CHAT}\n", CHAT.replace("r-1", "r-2"));
    assert_eq!(refusal(&text), "4: `custom_id` \"r-1\" is already used on line 1");
    let (items, summary) = good(&text, &ReadOptions { auto_id: true, ..options() });
    assert_eq!(&*items[2].custom_id, "line-4");
    assert!(summary.notes[1].contains("named by its number"));
}

#[test]
fn batch_lines_without_an_id_are_refused_unless_ids_may_be_made() {
    let line = CHAT.replace("\"custom_id\":\"r-1\",", "");
    assert!(refusal(&line).contains("`custom_id` is missing; --auto-id"));
    let (items, _) = good(&line, &ReadOptions { auto_id: true, ..options() });
    assert_eq!(&*items[0].custom_id, "line-1");
    assert!(
        refusal(r#"{"custom_id":null,"params":{"max_tokens":1,"messages":[{"role":"user"}]}}"#)
            .contains("missing")
    );
}

#[test]
fn ids_are_any_text_up_to_512_bytes() {
    for id in ["../../etc/passwd", "=cmd()", "<script>", "🙂 \\u202ertl", "a\\u001b[31m", &"x".repeat(512)]
    {
        let (item, _) = one(&format!("{{\"custom_id\":\"{id}\",\"prompt\":\"a\"}}"));
        let expected: String = serde_json::from_str(&format!("\"{id}\"")).unwrap();
        assert_eq!(*item.custom_id, *expected);
    }
    let long = format!("{{\"id\":\"{}\",\"prompt\":\"a\"}}", "x".repeat(513));
    assert_eq!(refusal(&long), "1: `id` has 513 bytes; at most 512 are allowed");
    assert_eq!(refusal(r#"{"id":"","prompt":"a"}"#), "1: `id` is empty");
    assert_eq!(refusal(r#"{"id":[],"prompt":"a"}"#), "1: `id` is an array; it must be text");
    assert_eq!(refusal(r#"{"id":"\ud800","prompt":"a"}"#), "1: `id` is not valid unicode");
}

#[test]
fn the_id_field_may_be_chosen() {
    let options = ReadOptions { id_field: Some("ticket".to_owned()), ..options() };
    let (items, summary) = good(r#"{"id":"x","ticket":12345678901234567890,"prompt":"a"}"#, &options);
    assert_eq!(&*items[0].custom_id, "12345678901234567890");
    assert_eq!(summary.notes, Vec::<String>::new());
    let bad = bad_lines(br#"{"id":"x","prompt":"a"}"#, &options);
    assert_eq!(bad.lines[0].message, "`ticket`, which --id-field names, is missing");
}

// What is kept, and what is changed

#[test]
fn big_numbers_odd_unicode_and_repeated_keys_reach_the_provider_unchanged() {
    let request = "{ \"messages\" : [{\"role\":\"user\",\"content\":\"\\u0000 \\ud83d \u{2028} 漢\"}],\"seed\":98765432109876543210, \"x\":1e400,\"x\":-0.0 }";
    let line = format!(
        "{{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{request}}}"
    );
    let (item, _) = one(&line);
    assert_eq!(body(&item), request);
    assert_eq!(item.body.model_at, None);
}

#[test]
fn streaming_is_taken_out_with_one_note_for_the_job() {
    let line = |id: &str| {
        format!(
            r#"{{"custom_id":"{id}","method":"POST","url":"/v1/chat/completions","body":{{"stream":true,"model":"m","messages":[{{"role":"user","content":"x"}}]}}}}"#
        )
    };
    let (items, summary) = good(&format!("{}\n{}\n", line("a"), line("b")), &options());
    assert_eq!(body(&items[1]), r#"{"model":"m","messages":[{"role":"user","content":"x"}]}"#);
    assert_eq!(items[1].body.model_at, Some((9, 12)));
    assert_eq!(summary.notes, ["2 lines asked for streaming; `stream` was taken out of them"]);
}

#[test]
fn settings_and_instructions_change_every_body() {
    let options = ReadOptions {
        system: Some("be brief".to_owned()),
        set: settings::parse(&["temperature=0", "max_tokens=50", "n=2"]).unwrap(),
        ..options()
    };
    let (items, _) = good(CHAT, &options);
    assert_eq!(
        body(&items[0]),
        r#"{"model":"gpt-5-mini", "messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi"}],"seed":12345678901234567890,"temperature":0,"max_tokens":50,"n":2}"#
    );
    assert_eq!((items[0].max_output, items[0].choices), (Some(100), 2));
    let bad = ReadOptions { set: settings::parse(&["max_tokens=lots"]).unwrap(), ..self::options() };
    assert!(bad_lines(CHAT.as_bytes(), &bad).lines[0].message.contains("`max_tokens` must be"));
}

#[test]
fn several_answers_count_towards_what_may_be_written() {
    let (item, _) = one(r#"{"prompt":"a","n":5,"max_tokens":100,"tools":[{"type":"function"}]}"#);
    assert_eq!((item.choices, item.max_output), (5, Some(500)));
    assert_eq!(item.needs, Needs { tools: true, ..Needs::default() });
    let (_, summary) = good(r#"{"prompt":"a","n":5,"max_tokens":100}"#, &options());
    assert_eq!((summary.n_extra_choices, summary.max_output), (4, 500));
}

#[test]
fn keys_that_are_no_part_of_a_request_are_noted() {
    let (_, summary) = good(r#"{"prompt":"a","label":"x","top_p":1}"#, &options());
    assert_eq!(summary.notes, ["keys that are no part of a request were left out: `label`"]);
}

// Options of the line and classes

#[test]
fn options_of_a_line_override_its_job() {
    let (item, class) = one(
        r#"{"prompt":"a","model":"m","overnight":{"models":[["a/x","b/y"],"c/z"],"check":"json","max_cost":"$0.002","deadline":"06:00","priority":10,"max_attempts":3,"tags":{"team":"search"}}}"#,
    );
    assert_eq!((class.ladder.to_string().as_str(), class.priority), ("a/x|b/y > c/z", 10));
    assert_eq!(class.deadline.unwrap().to_string(), "2026-11-22T06:00:00Z");
    let own = item.options.unwrap();
    assert_eq!((own.check, own.max_attempts), (Some(Check::Json), Some(3)));
    assert_eq!(own.tags["team"], "search");
    let (item, _) = one(r#"{"prompt":"a","overnight":{"priority":1}}"#);
    assert_eq!(item.options, None);
}

#[test]
fn a_ladder_that_was_asked_for_replaces_models_in_bodies() {
    let (_, summary) = good(CHAT, &options());
    assert_eq!(summary.classes[0].class.ladder.to_string(), "gpt-5-mini");
    assert_eq!((summary.classes[0].first_line, summary.classes[0].first_id.as_str()), (1, "r-1"));
    let (_, summary) = good(CHAT, &ReadOptions { ladder_is_fixed: true, ..options() });
    assert_eq!(summary.classes[0].class.ladder.to_string(), "sim/small > sim/large");
}

#[test]
fn lines_that_are_scheduled_alike_share_a_class() {
    let line = |id: usize, priority: usize| {
        format!("{{\"id\":{id},\"prompt\":\"a\",\"overnight\":{{\"priority\":{priority}}}}}\n")
    };
    let text: String = (0..10).map(|id| line(id, id % 3)).collect();
    let (items, summary) = good(&text, &options());
    assert_eq!(summary.classes.len(), 3);
    for item in &items {
        let class = &summary.classes[usize::from(item.class)].class;
        assert_eq!(i64::from(class.priority), i64::from(item.index) % 3);
    }
}

#[test]
fn every_name_is_checked_at_once_in_a_long_file() {
    let text: String = (0..30_000).map(|n| format!("{{\"id\":\"r-{n}\",\"prompt\":\"a\"}}\n")).collect();
    assert_eq!(good(&text, &options()).1.n_items, 30_000);
    let last = format!("{text}{{\"id\":\"r-77\",\"prompt\":\"a\"}}\n");
    assert_eq!(refusal(&last), "30001: `id` \"r-77\" is already used on line 78");
}

#[test]
fn the_job_files_of_this_repository_can_be_read() {
    for (file, n_items, wire) in [
        ("classify-reviews.jsonl", 200, Wire::Chat),
        ("extract-invoices.jsonl", 48, Wire::Chat),
        ("tickets.csv", 64, Wire::Chat),
        ("embed-faq.jsonl", 112, Wire::Embeddings),
    ] {
        let path = |file: &str| format!("{}/jobs/{file}", env!("CARGO_MANIFEST_DIR"));
        let mut options = options();
        if file.ends_with(".csv") {
            let template = std::fs::read_to_string(path("summarise.txt")).unwrap();
            options.prompt = Some(Template::parse(&template).unwrap());
        }
        let source = Source::open(&path(file), None).unwrap();
        let mut bodies = std::collections::BTreeSet::new();
        let mut keep = |item: Item| {
            bodies.insert(item.body.json);
            Ok(())
        };
        let summary = read(source, &options, &mut keep, None).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((summary.n_items, summary.wires.as_slice()), (n_items, &[wire][..]), "{file}");
        assert_eq!(summary.notes, Vec::<String>::new(), "{file}");
        assert_eq!(bodies.len() as u64, n_items, "{file}: every request differs");
    }
}

#[test]
fn lines_that_ask_the_same_are_found_where_the_answer_would_be_the_same() {
    use crate::job::Duplicates;
    let line = |id: &str, temperature: &str, text: &str| {
        format!(
            r#"{{"custom_id":"{id}","method":"POST","url":"/v1/chat/completions","body":{{"model":"m","temperature":{temperature},"messages":[{{"role":"user","content":"{text}"}}]}}}}"#
        )
    };
    let file = [
        line("a", "0", "x"),
        line("b", "0.0", "x"),
        line("c", "0", "x"),
        line("d", "1", "x"),
        line("e", "1", "x"),
        line("f", "0", "y"),
    ]
    .join("\n");
    // `0.0` is written otherwise than `0`: only the same bytes are the same request.
    for (rule, copies) in [
        (Duplicates::Auto, vec![(2, 0)]),
        (Duplicates::Copy, vec![(2, 0), (4, 3)]),
        (Duplicates::Send, vec![]),
    ] {
        let options = ReadOptions { duplicates: rule, ..options() };
        assert_eq!(good(&file, &options).1.copies, copies, "{rule:?}");
    }
}
