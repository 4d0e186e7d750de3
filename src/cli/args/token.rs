//! Flags of `overnight token`.

use clap::{Args as ClapArgs, Subcommand};

use super::value::Tag;

/// `overnight token`.
#[derive(Clone, Debug, ClapArgs)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "\
Examples:
  overnight token create search --tag team=search --model 'openai/*'
  overnight token create --operator
  overnight token list
  overnight token revoke search

Before the first token is made, anybody on this machine may use the API; from then on every request needs one. A daemon
that runs heeds a new or revoked token at once. What a tenant may spend: [budget.tags.\"tenant=search\"] in the config."
)]
pub struct TokenArgs {
    /// What to do.
    #[command(subcommand)]
    pub verb: TokenVerb,
}

/// `overnight token create|list|revoke`.
#[derive(Clone, Debug, Subcommand)]
pub enum TokenVerb {
    /// Make a token and print it, once: only its hash is kept
    Create(TokenCreateArgs),
    /// List tokens by id and whom they stand for
    List,
    /// Revoke a token by its id, or all tokens of a tenant
    Revoke {
        /// The token's id or the tenant's name
        #[arg(value_name = "ID|TENANT")]
        named: String,
    },
}

/// `overnight token create`.
#[derive(Clone, Debug, ClapArgs)]
pub struct TokenCreateArgs {
    /// The tenant it stands for: sees its own files, jobs and spend, and nothing else
    #[arg(value_name = "TENANT", required_unless_present = "operator")]
    pub tenant: Option<String>,
    /// It stands for the operator, who sees everything
    #[arg(long, conflicts_with_all = ["tenant", "tags", "models"])]
    pub operator: bool,
    /// Put this tag on all of the tenant's jobs: `team=search`; repeatable
    #[arg(long = "tag", value_name = "KEY=VALUE")]
    pub tags: Vec<Tag>,
    /// Models the tenant may use, with * and ?; repeatable [default: all]
    #[arg(long = "model", value_name = "PATTERN")]
    pub models: Vec<String>,
}
