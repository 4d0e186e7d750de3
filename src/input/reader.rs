//! One line → one [`Item`]: finds the request in it, its name, its class and what it overrides.
//!
//! A line is either used whole or not at all: what is remembered of it (its name, its class, counts
//! for the notes) is written down only when nothing can go wrong any more.
//!
//! Pure.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;

use super::ReadOptions;
use super::build::{Chat, PARAMETERS, quoted};
use super::classes::{ClassUse, Classes};
use super::duplicates::Seen;
use super::format::{self, Format};
use super::ids::{self, Ids, Name};
use super::notes::Tally;
use super::options::{self, LineOptions};
use super::problem::{Problem, shown};
use super::request::{self, Changes, Done, Facts};
use super::scan::{self, Kind, Member, Raw};
use crate::job::{Body, Class, Item, ItemIndex, ItemOptions, Wire};

/// Reads the lines of one job.
pub(super) struct Reader<'o> {
    options: &'o ReadOptions,
    changes: Changes,
    /// The format of the first line that could be read, and its number.
    format: Option<(Format, u64)>,
    is_text: bool,
    is_table: bool,
    ids: Ids,
    classes: Classes,
    seen: Seen,
    next_index: ItemIndex,
    /// What is said about the file at the end.
    pub tally: Tally,
}

/// A request body.
enum Text<'a> {
    /// As it stands in the line.
    Kept(Raw<'a>),
    /// Made from what stands in the line.
    Built(Vec<u8>),
}

/// The request of a line, as it is before the changes made at submit.
struct Request<'a> {
    wire: Wire,
    body: Text<'a>,
    /// The model, where it stands beside the body rather than in it.
    model: Option<Cow<'a, str>>,
    answer_dropped: bool,
    unused: Vec<Raw<'a>>,
}

impl<'a> Request<'a> {
    fn new(wire: Wire, body: Text<'a>) -> Request<'a> {
        Request { wire, body, model: None, answer_dropped: false, unused: Vec::new() }
    }
}

impl<'o> Reader<'o> {
    /// A reader of lines of text (`is_text`), of rows of a table (`is_table`) or of JSON lines.
    pub(super) fn new(options: &'o ReadOptions, is_text: bool, is_table: bool) -> Reader<'o> {
        Reader {
            options,
            changes: Changes::new(options.system.as_deref(), &options.set),
            format: None,
            is_text,
            is_table,
            ids: Ids::default(),
            classes: Classes::new(options.class.clone()),
            seen: Seen::new(options.duplicates),
            next_index: 0,
            tally: Tally::default(),
        }
    }

    /// Reads line number `line`.
    pub(super) fn item(&mut self, line: u64, text: &[u8]) -> Result<Item, Problem> {
        if self.is_text {
            return Ok(self.text_item(line, text)?);
        }
        let object = scan::check_object(text)?;
        let members: Vec<Member<'_>> = object.members().collect();
        format::refuse_repeated_keys(&members)?;
        let format = self.format_of(&members, line)?;
        let request = self.request(format, object, &members)?;
        let name = self.name(format, &members)?;
        let overrides = match format::find(&members, "overnight") {
            Some(raw) if !self.is_table => {
                let ReadOptions { now, zone, line_commands, .. } = *self.options;
                options::parse(raw, now, zone, line_commands)?
            }
            _ => LineOptions::default(),
        };
        Ok(self.finish(line, name, request, overrides)?)
    }

    /// The classes of all items, and which items repeat an earlier one.
    pub(super) fn into_parts(self) -> (Vec<ClassUse>, Vec<(ItemIndex, ItemIndex)>) {
        (self.classes.into_uses(), self.seen.into_copies())
    }

    fn text_item(&mut self, line: u64, text: &[u8]) -> Result<Item, String> {
        let text = quoted(&String::from_utf8_lossy(text));
        let prompt = match &self.options.prompt {
            None => text,
            Some(template) => {
                let row = [b"{\"text\":", &text[..], b"}"].concat();
                let row = scan::check(&row).map_err(|fault| fault.what)?;
                quoted(&template.render(row)?)
            }
        };
        let request = Request::new(Wire::Chat, Text::Built(user_message(&prompt)));
        self.finish(line, Name::Missing, request, LineOptions::default())
    }

    /// The format of a line, which must be that of the lines before it.
    fn format_of(&mut self, members: &[Member<'_>], line: u64) -> Result<Format, String> {
        let has_template = self.options.prompt.is_some();
        let format = format::detect(members, has_template);
        if has_template && format.is_request() {
            let what = format.with_article();
            return Err(format!("is {what} already; leave --prompt out, it fills a template from rows"));
        }
        match *self.format.get_or_insert((format, line)) {
            (first, _) if first == format => Ok(format),
            // More helpful than what it differs from: why it is nothing at all.
            (_, _) if format == Format::Row => Err(format::no_request(members)),
            (first, first_line) => Err(format!(
                "is {}, but line {first_line} is {}; one file holds one format",
                format.with_article(),
                first.with_article()
            )),
        }
    }

    fn request<'a>(
        &self,
        format: Format,
        line: Raw<'a>,
        members: &[Member<'a>],
    ) -> Result<Request<'a>, String> {
        format::refuse_misspelt_options(members, format)?;
        let whole = |wire: Wire, key: &str| match format::find(members, key) {
            Some(body) if body.kind() == Kind::Object => Ok(Request::new(wire, Text::Kept(body))),
            Some(body) => Err(format!("`{key}` is {}; it must be an object", body.kind().with_article())),
            None => Err(format!("`{key}` is missing")),
        };
        match format {
            Format::OpenAi => {
                if let Some(method) = format::find(members, "method")
                    && !method.is("POST")
                {
                    return Err("`method` must be \"POST\"".to_owned());
                }
                whole(format::wire_of(format::find(members, "url"))?, "body")
            }
            Format::Anthropic => whole(Wire::Messages, "params"),
            Format::Gemini => whole(Wire::GenerateContent, "request"),
            Format::Prompt => self.chat("prompt", members),
            Format::Messages => self.chat("messages", members),
            Format::ShareGpt => self.chat("conversations", members),
            Format::Row | Format::Text => match &self.options.prompt {
                Some(template) => {
                    let prompt = quoted(&template.render(line)?);
                    Ok(Request::new(Wire::Chat, Text::Built(user_message(&prompt))))
                }
                None => Err(format::no_request(members)),
            },
        }
    }

    /// Builds a chat body from a line that has its question under `field`.
    fn chat<'a>(&self, field: &str, members: &[Member<'a>]) -> Result<Request<'a>, String> {
        let asked = format::find(members, field).ok_or_else(|| format!("`{field}` is missing"))?;
        let system =
            format::find(members, "system").filter(|system| system.inner().is_some_and(|s| !s.is_empty()));
        let mut chat = Chat::new(system);
        match (field, asked.kind()) {
            ("prompt", Kind::String) if asked.text().is_some_and(|text| text.trim().is_empty()) => {
                return Err("`prompt` is empty".to_owned());
            }
            ("prompt", Kind::String) => chat.message("user", asked.bytes()),
            ("prompt" | "messages", Kind::Array) => chat.messages(asked, field)?,
            ("conversations", Kind::Array) => chat.conversation(asked)?,
            ("prompt", kind) => {
                return Err(format!(
                    "`prompt` is {}; it must be text or a list of messages",
                    kind.with_article()
                ));
            }
            (_, kind) => return Err(format!("`{field}` is {}; it must be a list", kind.with_article())),
        }
        let mut request = Request::new(Wire::Chat, Text::Built(Vec::new()));
        request.answer_dropped = chat.n_dropped > 0;
        if let Some(model) = format::find(members, "model").filter(|model| !model.is_null()) {
            let name = model.text().filter(|name| !name.trim().is_empty());
            request.model = Some(name.ok_or_else(|| "`model` must be the name of a model".to_owned())?);
        }
        // Values of a table are all text, so they cannot be parameters.
        let is_parameter = |member: &Member<'_>| {
            !self.is_table
                && PARAMETERS.binary_search_by(|name| name.as_bytes().cmp(&member.key.name())).is_ok()
        };
        let is_used = |member: &Member<'_>| {
            let used = [field, "system", "model", "overnight", "custom_id", "key", "id"];
            used.iter().any(|key| member.key.is(key))
                || self.options.id_field.as_deref().is_some_and(|key| member.key.is(key))
        };
        let (parameters, rest): (Vec<_>, Vec<_>) = members.iter().copied().partition(is_parameter);
        request.unused = rest.iter().filter(|member| !is_used(member)).map(|member| member.key).collect();
        request.body = Text::Built(chat.finish(parameters.into_iter()));
        Ok(request)
    }

    /// What the line is called: by `--id-field` if given, else by the first of the usual fields.
    fn name<'a>(&self, format: Format, members: &[Member<'a>]) -> Result<Name<'a>, String>
    where
        'o: 'a,
    {
        let options: &'o ReadOptions = self.options;
        if let Some(field) = &options.id_field {
            return match ids::name_in(field, members)? {
                Name::Missing => Err(format!("`{field}`, which --id-field names, is missing")),
                given => Ok(given),
            };
        }
        let fields: &[&'static str] =
            if format.needs_id() { &["custom_id"] } else { &["custom_id", "key", "id"] };
        for field in fields {
            if let given @ Name::Given(..) = ids::name_in(field, members)? {
                return Ok(given);
            }
        }
        match format.needs_id() && !self.options.auto_id {
            true => Err("`custom_id` is missing; --auto-id names such lines by their numbers".to_owned()),
            false => Ok(Name::Missing),
        }
    }

    /// Makes the changes, looks through the body, and takes the line into the job.
    fn finish(
        &mut self,
        line: u64,
        name: Name<'_>,
        request: Request<'_>,
        overrides: LineOptions,
    ) -> Result<Item, String> {
        let original = match &request.body {
            Text::Kept(body) => *body,
            Text::Built(text) => scan::check(text).map_err(|fault| fault.what)?,
        };
        let first = request::facts(request.wire, original)?;
        let (edited, done) = request::prepare(request.wire, original, &first, &self.changes);
        let edited_facts;
        let facts = match &edited {
            None => &first,
            Some(bytes) => {
                let body = scan::check(bytes).map_err(|fault| fault.what)?;
                edited_facts = request::facts(request.wire, body)?;
                &edited_facts
            }
        };
        let model = match (&request.model, facts.model) {
            (Some(model), _) => Some(model.clone()),
            (None, Some(model)) => model.text(),
            (None, None) => None,
        };

        let (custom_id, claim) = self.claim(line, &name)?;
        let class = self.class(model.as_deref(), &overrides)?;
        let json = match &edited {
            Some(bytes) => Bytes::copy_from_slice(bytes),
            None => Bytes::copy_from_slice(original.bytes()),
        };
        let item = item(self.next_index, custom_id, class, request.wire, json, facts, overrides.item);
        self.options.judge.judge(&item)?;
        match claim {
            Claim::Given(free) => self.ids.claim(free),
            Claim::Made => self.ids.claim_made(line),
            Claim::Renamed => {
                self.ids.claim_made(line);
                self.tally.n_renamed += 1;
            }
        }
        self.classes.count(class, line, &item.custom_id);
        self.seen.note(&item, facts.is_repeatable);
        self.note(&request, done);
        self.next_index += 1;
        Ok(item)
    }

    /// A name that no other line has.
    fn claim(&self, line: u64, name: &Name<'_>) -> Result<(Arc<str>, Claim), String> {
        if self.next_index == ItemIndex::MAX {
            return Err(format!("a job holds at most {} lines; split the file", ItemIndex::MAX));
        }
        let taken = match name {
            Name::Given(field, id) => match self.ids.check(id, line) {
                Ok(free) => return Ok((Arc::from(&**id), Claim::Given(free))),
                Err(first) => Some((*field, id, first)),
            },
            Name::Missing => None,
        };
        if let Some((field, id, first)) = taken
            && !self.options.auto_id
        {
            return Err(format!("`{field}` {} is already used on line {first}", shown(id)));
        }
        let made = ids::made(line);
        match self.ids.check(&made, line) {
            Ok(_) if taken.is_some() => Ok((made.into(), Claim::Renamed)),
            Ok(_) => Ok((made.into(), Claim::Made)),
            Err(first) => Err(format!(
                "has no id and would be called {made}, but that name is already used on line {first}"
            )),
        }
    }

    /// The number of the class the line belongs to.
    fn class(&mut self, model: Option<&str>, overrides: &LineOptions) -> Result<u16, String> {
        // Gemini writes `models/gemini-…`.
        let model = model.filter(|_| !self.options.ladder_is_fixed);
        let model = model.map(|model| model.strip_prefix("models/").unwrap_or(model).trim());
        if !overrides.changes_class() {
            return match model {
                Some(model) => self.classes.of_model(model),
                None => self.classes.of_own(),
            };
        }
        let own = self.classes.own().clone();
        let of_line = || model.map(|model| crate::job::Ladder(vec![vec![model.to_owned()]]));
        let class = Class {
            ladder: overrides.ladder.clone().or_else(of_line).unwrap_or(own.ladder),
            priority: overrides.priority.unwrap_or(own.priority),
            deadline: overrides.deadline.or(own.deadline),
            not_before: overrides.not_before.or(own.not_before),
        };
        self.classes.of(class)
    }

    fn note(&mut self, request: &Request<'_>, done: Done) {
        self.tally.n_stream_removed += u64::from(done.stream_removed);
        self.tally.n_kept_system += u64::from(done.kept_system);
        self.tally.n_system_unused += u64::from(done.system_unused);
        self.tally.n_answers_dropped += u64::from(request.answer_dropped);
        for key in &request.unused {
            self.tally.unused_key(&String::from_utf8_lossy(&key.name()));
        }
    }
}

/// How a name is written down once the line is taken.
enum Claim {
    Given(ids::Free),
    Made,
    Renamed,
}

fn item(
    index: ItemIndex,
    custom_id: Arc<str>,
    class: u16,
    wire: Wire,
    json: Bytes,
    facts: &Facts<'_>,
    options: ItemOptions,
) -> Item {
    Item {
        index,
        custom_id,
        class,
        wire,
        body: Body { json, model_at: facts.model_at },
        input_tokens: facts.input_tokens,
        max_output: facts.max_output,
        choices: facts.choices,
        needs: facts.needs,
        options: (options != ItemOptions::default()).then(|| Box::new(options)),
    }
}

fn user_message(prompt: &[u8]) -> Vec<u8> {
    let mut chat = Chat::new(None);
    chat.message("user", prompt);
    chat.finish(std::iter::empty())
}
