//! `overnight token`: makes, lists and revokes tokens of the HTTP API.
//!
//! A token is printed once, to stdout and nothing else with it, so that a script can keep it; what is
//! kept here is its hash.

use serde::Serialize;
use serde_json::json;

use super::args::{TokenArgs, TokenCreateArgs, TokenVerb};
use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::format::counted;
use super::style::{Line, Paint};
use crate::clock::{self, Timestamp};
use crate::serve::{random, tokens};
use crate::tenant::{self, Tenant, Token};

/// Makes, lists or revokes.
pub fn run(args: &TokenArgs, context: &Context) -> Result<Exit, CliError> {
    match &args.verb {
        TokenVerb::Create(args) => create(args, context)?,
        TokenVerb::List => list(context)?,
        TokenVerb::Revoke { named } => revoke(named, context)?,
    }
    Ok(Exit::Done)
}

fn create(args: &TokenCreateArgs, context: &Context) -> Result<(), CliError> {
    let tenant = args.tenant.as_ref().map(|name| {
        tenant::check_name(name).map_err(|error| CliError::usage(error.to_string()))?;
        let tags = args.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone())).collect();
        Ok::<_, CliError>(Tenant { name: name.clone(), tags, models: args.models.clone() })
    });
    let tenant = tenant.transpose()?;
    let text = tenant::token_of(&random());
    let id = format!("tok_{:016x}", u64::from_be_bytes(random()));
    let token = Token { id: id.clone(), sha256: tenant::hash(&text), created_at: clock::now(), tenant };
    let whose = whose(&token).to_owned();
    tokens::change(context.state_dir()?, |all| all.tokens.push(token))?;
    if context.globals.json {
        return context.document("token", "token", &json!({ "id": id, "token": text }), Vec::new);
    }
    context.print(&format!("{text}\n"))?;
    context.note(&Line::new().text(format!("  {id} stands for {whose}; it is not shown again")));
    Ok(())
}

/// `overnight token list --json`.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    id: &'a str,
    created_at: Timestamp,
    tenant: Option<&'a Tenant>,
}

fn list(context: &Context) -> Result<(), CliError> {
    let all = tokens::read(context.state_dir()?)?;
    let listed = all.tokens.iter().map(|token| Listed {
        id: &token.id,
        created_at: token.created_at,
        tenant: token.tenant.as_ref(),
    });
    let listed: Vec<Listed<'_>> = listed.collect();
    context.document("tokens", "tokens", &listed, || {
        let setting = context.setting();
        all.tokens
            .iter()
            .map(|token| {
                let tenant = token.tenant.as_ref();
                let tags = tenant.map(|tenant| {
                    tenant.tags.iter().map(|(key, value)| format!("  {key}={value}")).collect::<String>()
                });
                let models = tenant
                    .filter(|tenant| !tenant.models.is_empty())
                    .map(|tenant| format!("  {}", tenant.models.join(" ")));
                Line::new()
                    .add(Paint::Name, &token.id)
                    .text(format!("  {}  made {}", whose(token), setting.moment(token.created_at)))
                    .text(tags.unwrap_or_default())
                    .text(models.unwrap_or_default())
            })
            .collect()
    })
}

fn revoke(named: &str, context: &Context) -> Result<(), CliError> {
    match tokens::change(context.state_dir()?, |all| all.revoke(named))? {
        0 => Err(CliError::new(
            "no_such_token",
            Exit::NotFound,
            format!("no token has the id or tenant {named:?}"),
        )
        .hint("`overnight token list` lists them")),
        n => {
            context.note(&Line::new().text(format!("{} revoked", counted(n as u64, "token"))));
            Ok(())
        }
    }
}

fn whose(token: &Token) -> &str {
    token.tenant.as_ref().map_or("the operator", |tenant| &tenant.name)
}
