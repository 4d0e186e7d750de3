//! `/v1/files`: uploads, lists, downloads, and what is refused.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use super::http::{Answer, Api, read};
use super::{Daemon, provider, refused};
use crate::support::folder::files;

const LINES: &[u8] = b"{\"custom_id\":\"a\",\"prompt\":\"\\u6f22 hi\"}\r\n\n{\"custom_id\":\"b\",\"prompt\":\"12345678901234567890\"}";

/// A form of these fields in this order; the one called `file` is a file of this name.
pub(crate) fn form(fields: &[(&str, &[u8])], filename: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        let file = if *name == "file" { format!("; filename=\"{filename}\"") } else { String::new() };
        body.extend_from_slice(
            format!("--XX\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n").as_bytes(),
        );
        body.extend_from_slice(value);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--XX--\r\n");
    body
}

const FORM: &str = "content-type: multipart/form-data; boundary=XX";

pub(crate) fn upload(api: &Api, bytes: &[u8]) -> Answer {
    api.request("POST", "/v1/files", &[FORM], &form(&[("purpose", b"batch"), ("file", bytes)], "in.jsonl"))
}

/// An upload that goes well; the file's id.
#[track_caller]
pub(crate) fn uploaded(api: &Api, bytes: &[u8]) -> String {
    let answer = upload(api, bytes);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_file_comes_back_byte_for_byte() {
    let daemon = Daemon::start();
    let answer = upload(&daemon.api, LINES);
    let file = answer.json();
    assert_eq!((answer.status, &file["object"], &file["status"]), (200, &"file".into(), &"processed".into()));
    assert_eq!(file["bytes"], LINES.len());
    for (field, value) in [("filename", "in.jsonl"), ("purpose", "batch")] {
        assert_eq!(file[field], value);
    }
    assert!(file["expires_at"].is_null() && file["created_at"].as_i64().unwrap() > 1_700_000_000);
    let path = format!("/v1/files/{}", file["id"].as_str().unwrap());
    assert_eq!(daemon.api.get(&path).json(), file);
    let content = daemon.api.get(&format!("{path}/content"));
    assert_eq!(content.body, LINES);
    assert!(content.header("content-disposition").unwrap().starts_with("attachment"), "{content:?}");
    assert_eq!(content.header("x-content-type-options"), Some("nosniff"));

    let daemon = daemon.again();
    assert_eq!(daemon.api.get(&format!("{path}/content")).body, LINES, "it is there after a restart");
    let gone = daemon.api.delete(&path);
    assert_eq!(gone.json()["deleted"], true);
    for path in [&path, &format!("{path}/content")] {
        refused(&daemon.api.get(path), 404, "not_found");
    }
    refused(&daemon.api.delete(&path), 404, "not_found");
    assert!(files(&daemon.overnight.path().join("files")).is_empty());
}

#[test]
fn fields_come_in_any_order_and_bodies_in_chunks() {
    let daemon = Daemon::start();
    let fields: [(&str, &[u8]); 4] = [
        ("file", LINES),
        ("expires_after[seconds]", b"3600"),
        ("expires_after[anchor]", b"created_at"),
        ("purpose", b"batch"),
    ];
    let body = form(&fields, "x.jsonl");
    let mut request = format!(
        "POST /v1/files HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n{FORM}\r\ntransfer-encoding: chunked\r\n\r\n",
        daemon.api.address
    )
    .into_bytes();
    for chunk in body.chunks(7) {
        request.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend_from_slice(chunk);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"0\r\n\r\n");
    let answer = daemon.api.raw(&request).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let file = answer.json();
    assert_eq!(file["expires_at"].as_i64().unwrap() - file["created_at"].as_i64().unwrap(), 3_600);
    let content = daemon.api.get(&format!("/v1/files/{}/content", file["id"].as_str().unwrap()));
    assert_eq!(content.body, LINES);
}

#[test]
fn a_list_is_cut_into_pages() {
    let daemon = Daemon::start();
    let ids: Vec<String> = (0..5).map(|_| uploaded(&daemon.api, LINES)).collect();
    let other = form(&[("purpose", b"user_data"), ("file", b"\0binary\xff")], "x.bin");
    assert_eq!(
        daemon.api.request("POST", "/v1/files", &[FORM], &other).status,
        200,
        "only batches must be text"
    );
    let page = |query: &str| {
        let answer = daemon.api.get(&format!("/v1/files?{query}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let page = answer.json();
        let ids: Vec<String> = page["data"]
            .as_array()
            .unwrap()
            .iter()
            .map(|file| file["id"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(page["first_id"].as_str(), ids.first().map(String::as_str));
        assert_eq!(page["last_id"].as_str(), ids.last().map(String::as_str));
        (ids, page["has_more"].as_bool().unwrap())
    };
    let newest_first: Vec<String> = ids.iter().rev().cloned().collect();
    assert_eq!(page("purpose=batch"), (newest_first.clone(), false));
    assert_eq!(page("purpose=batch&limit=2"), (newest_first[..2].to_vec(), true));
    assert_eq!(
        page(&format!("purpose=batch&limit=2&after={}", newest_first[1])),
        (newest_first[2..4].to_vec(), true)
    );
    assert_eq!(
        page(&format!("purpose=batch&order=asc&limit=9&after={}", ids[2])),
        (ids[3..].to_vec(), false)
    );
    assert_eq!(page("limit=10000").0.len(), 6);
    for query in ["limit=0", "limit=10001", "limit=many", "order=up"] {
        assert_eq!(daemon.api.get(&format!("/v1/files?{query}")).status, 400, "{query}");
    }
}

#[test]
fn what_is_no_batch_file_is_refused_and_not_kept() {
    let daemon = Daemon::start();
    let cases: [(&[u8], &str, &str); 5] = [
        (b"", "no_requests", "no requests"),
        (b"\n \r\n", "no_requests", "no requests"),
        (b"\xff\xfe{\0}\0", "not_text", "line 1, column 1"),
        (b"{}\n{\"a\":\"\xc3\x28\"}", "not_text", "line 2, column 7"),
        (b"{}\n\0", "not_text", "line 2, column 1"),
    ];
    for (bytes, code, told) in cases {
        let answer = upload(&daemon.api, bytes);
        refused(&answer, 400, code);
        assert!(answer.text().contains(told), "{answer:?}");
    }
    let forms: [&[(&str, &[u8])]; 5] = [
        &[("file", LINES)],
        &[("purpose", b"batch")],
        &[("purpose", b"batch_output"), ("file", LINES)],
        &[("purpose", b"batch"), ("file", LINES), ("file", LINES)],
        &[("purpose", b"batch"), ("expires_after[seconds]", b"1"), ("file", LINES)],
    ];
    for fields in forms {
        let answer = daemon.api.request("POST", "/v1/files", &[FORM], &form(fields, "x"));
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    assert_eq!(daemon.api.post("/v1/files", &serde_json::json!({})).status, 400);
    let cut = &form(&[("purpose", b"batch"), ("file", LINES)], "x")[..150];
    assert_eq!(daemon.api.request("POST", "/v1/files", &[FORM], cut).status, 400);
    let packed = [FORM, "content-encoding: gzip"];
    refused(&daemon.api.request("POST", "/v1/files", &packed, b"x"), 415, "packed");
    assert!(files(&daemon.overnight.path().join("files")).is_empty());
}

#[test]
fn too_large_is_said_before_it_is_read_and_while() {
    let daemon = Daemon::with(provider(std::time::Duration::ZERO), "[daemon]\nmax_file_mb = 1\n");
    let answer = upload(&daemon.api, &b"{}\n".repeat(400_000));
    refused(&answer, 413, "too_large");
    assert!(answer.text().contains("max_file_mb"), "{answer:?}");
    // Announced, and never sent.
    let mut stream = TcpStream::connect(daemon.api.address).unwrap();
    let head = format!(
        "POST /v1/files HTTP/1.1\r\nhost: {}\r\n{FORM}\r\ncontent-length: 9000000000\r\nconnection: close\r\n\r\n",
        daemon.api.address
    );
    stream.write_all(head.as_bytes()).unwrap();
    refused(&read(&mut stream).unwrap(), 413, "too_large");
    // Just under in what is announced, over in the file.
    let answer = upload(&daemon.api, &b"{}\n".repeat(340_000));
    refused(&answer, 413, "too_large");
    assert!(files(&daemon.overnight.path().join("files")).is_empty());
}

#[test]
fn a_name_is_text_and_never_a_path() {
    let daemon = Daemon::start();
    for name in ["../../../etc/passwd", "/etc/passwd", "..", "a<script>&amp;b.jsonl", "\u{202e}txt"] {
        let body = form(&[("purpose", b"batch"), ("file", LINES)], name);
        let answer = daemon.api.request("POST", "/v1/files", &[FORM], &body);
        assert_eq!(answer.status, 200, "{answer:?}");
        let content = daemon.api.get(&format!("/v1/files/{}/content", answer.json()["id"].as_str().unwrap()));
        assert!(content.header("content-disposition").unwrap().is_ascii());
        assert!(!content.header("content-disposition").unwrap().contains("passwd"));
    }
    let kept = files(&daemon.overnight.path().join("files"));
    assert_eq!(kept.len(), 10);
    for path in kept {
        assert!(path.file_name().unwrap().to_str().unwrap().starts_with("file-"), "{path:?}");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
    }
    for id in ["..%2f..%2fLOCK", "file-..%2f..%2f..%2f..%2f..%2faaaaa", "%2e%2e", "file-x.json"] {
        assert_eq!(daemon.api.get(&format!("/v1/files/{id}/content")).status, 404, "{id}");
    }
}
