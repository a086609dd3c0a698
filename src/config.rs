//! Every setting of the server: name, default, meaning. Flags and environment are one list.
//!
//! It reads nothing but the command line and the environment, and checks only what one value says by itself.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use url::Url;

/// Where the data lies: shared by every command that opens the folder.
#[derive(Debug, Clone, Args)]
pub struct DataDir {
    /// Folder of the database, the files and the master key; made when absent
    #[arg(long, env = "EVALBOARD_DATA_DIR", default_value = "./data", value_name = "DIR")]
    pub data_dir: PathBuf,
}

/// Settings of `serve`.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// Address and port to listen on; port 0 takes a free one
    #[arg(long, env = "EVALBOARD_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    pub listen: SocketAddr,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would replace the help text of the whole command")]
    pub data: DataDir,

    /// How the outside reaches this server; links in answers start with it [default: http:// and the address]
    #[arg(long, env = "EVALBOARD_PUBLIC_URL", value_name = "URL")]
    pub public_url: Option<Url>,

    /// Private addresses that models may be called at: host:port, address:port or CIDR, by commas
    #[arg(long, env = "EVALBOARD_EGRESS_ALLOW", default_value = "", value_name = "LIST")]
    pub egress_allow: String,

    /// Proxies in front whose X-Forwarded-For is believed: addresses or CIDR ranges, by commas
    #[arg(long, env = "EVALBOARD_TRUSTED_PROXIES", default_value = "", value_name = "LIST")]
    pub trusted_proxies: String,

    /// Connections that are served at once, as far as the limit on open files allows; more are answered with 503
    #[arg(long, env = "EVALBOARD_MAX_CONNECTIONS", default_value_t = 10_000, value_name = "N",
          value_parser = clap::value_parser!(u32).range(16..))]
    pub max_connections: u32,

    /// Seconds after which a connection is ended whose client takes nothing of what is sent to it
    #[arg(long, env = "EVALBOARD_WRITE_TIMEOUT", default_value_t = 30, value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(1..=3_600))]
    pub write_timeout: u32,

    /// What large responses may hold in memory together while they wait to be sent, in bytes; beyond it they get a 503
    #[arg(long, env = "EVALBOARD_SEND_BUDGET_BYTES", default_value_t = 64 * 1024 * 1024, value_name = "BYTES",
          value_parser = clap::value_parser!(u64).range(1024 * 1024..))]
    pub send_budget_bytes: u64,

    /// Webhooks that evals may be scored by: hosts, host:port or beginnings of URLs, by commas
    #[arg(long, env = "EVALBOARD_WEBHOOK_ALLOW", default_value = "", value_name = "LIST")]
    pub webhook_allow: String,

    /// Default grader: provider/model, or a registered model's id; by name only an admin's or an official model
    #[arg(long, env = "EVALBOARD_GRADER_MODEL", value_name = "MODEL")]
    pub grader_model: Option<String>,

    /// Key that seals the models' API keys and the webhooks' secrets: 32 bytes as hex or base64 [default: a file in the data folder]
    #[arg(long, env = "EVALBOARD_MASTER_KEY", value_name = "KEY", hide_env_values = true)]
    pub master_key: Option<String>,

    /// Largest file taken in one request, in bytes
    #[arg(long, env = "EVALBOARD_MAX_UPLOAD_BYTES", default_value_t = 20 * 1024 * 1024 * 1024, value_name = "BYTES")]
    pub max_upload_bytes: u64,

    /// What the files of one person may take, uploads under way included, in bytes
    #[arg(long, env = "EVALBOARD_OWNER_QUOTA_BYTES", default_value_t = 1024 * 1024 * 1024 * 1024, value_name = "BYTES")]
    pub owner_quota_bytes: u64,

    /// Where new files go: s3://bucket or s3://bucket/prefix, with the usual AWS_ variables [default: the data folder]
    #[arg(long, env = "EVALBOARD_BLOB_STORE", value_name = "URL")]
    pub blob_store: Option<String>,

    /// Calls in flight at once to one endpoint, unless its model says otherwise
    #[arg(long, env = "EVALBOARD_CONCURRENCY", default_value_t = 20, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub concurrency: u32,

    /// Seconds without any progress after which a run gives a model up, unless the run names a time of its own
    #[arg(long, env = "EVALBOARD_GIVE_UP_AFTER", default_value_t = 900, value_name = "SECONDS",
          value_parser = clap::value_parser!(u32).range(1..=2_592_000))]
    pub give_up_after: u32,

    /// What a member may spend on the operator's keys in a day (UTC), in US dollars; `user cap` sets it for one person [default: members spend nothing]
    #[arg(long, env = "EVALBOARD_MEMBER_DAILY_USD", value_name = "USD", value_parser = usd)]
    pub member_daily_usd: Option<f64>,

    /// Days after which the texts of prompts and answers are removed; every number stays [default: kept for ever]
    #[arg(long, env = "EVALBOARD_KEEP_ANSWERS", value_name = "DAYS",
          value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub keep_answers: Option<u32>,

    /// What everybody knows the people by who submit something: their e-mail addresses, or handles that they choose
    #[arg(long, env = "EVALBOARD_SUBMITTERS", value_enum, default_value_t = Submitters::Email)]
    pub submitters: Submitters,

    /// Who may see where models are called, their hosts in errors and waits included: whoever has a key, or everybody
    #[arg(long, env = "EVALBOARD_ENDPOINTS", value_enum, default_value_t = Endpoints::Members)]
    pub endpoints: Endpoints,

    /// The program that reads Parquet files in a process of its own [default: this one]
    #[arg(long, hide = true, default_value_os_t = own_program(), value_name = "FILE")]
    pub program: PathBuf,

    #[cfg(feature = "oidc")]
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would replace the help text of the whole command")]
    pub oidc: Oidc,

    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would replace the help text of the whole command")]
    pub rates: Rates,
}

impl Config {
    /// Returns how long a client may take nothing of what is sent to it.
    #[must_use]
    pub fn write_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.write_timeout))
    }
}

/// Signing in with an OpenID Connect provider; without an issuer there is none.
#[cfg(feature = "oidc")]
#[derive(Debug, Clone, Args)]
pub struct Oidc {
    /// OpenID Connect provider that people sign in with: its issuer, to the letter. It is sent back to /login/oidc/callback
    #[arg(long, env = "EVALBOARD_OIDC_ISSUER", value_name = "URL", requires = "oidc_client_id")]
    pub oidc_issuer: Option<String>,

    /// What this board is called there
    #[arg(long, env = "EVALBOARD_OIDC_CLIENT_ID", value_name = "ID")]
    pub oidc_client_id: Option<String>,

    /// What it proves that by [default: nothing; then it is a public client]
    #[arg(long, env = "EVALBOARD_OIDC_CLIENT_SECRET", value_name = "SECRET", hide_env_values = true)]
    pub oidc_client_secret: Option<String>,

    /// What people know the provider by [default: its host]
    #[arg(long, env = "EVALBOARD_OIDC_NAME", value_name = "NAME")]
    pub oidc_name: Option<String>,

    /// Domains, by commas, whose verified addresses become members by signing in [default: only who was added or invited may]
    #[arg(long, env = "EVALBOARD_OIDC_DOMAINS", value_name = "LIST", value_delimiter = ',')]
    pub oidc_domains: Vec<String>,
}

/// What people are shown by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Submitters {
    /// Their e-mail addresses.
    Email,
    /// Their handles; no answer to an anonymous caller has an address then.
    Handle,
}

/// The people who may see where models are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Endpoints {
    /// Callers with a key or a token, one that may only read included.
    Members,
    /// Everybody.
    Public,
}

/// How often one caller may ask. Answers that are ready as bytes are never limited.
#[derive(Debug, Clone, Args)]
pub struct Rates {
    /// Reads per second that are not ready as bytes, per key, and per address for callers without one
    #[arg(long, env = "EVALBOARD_RATE_READ", default_value_t = 20, value_name = "PER_SECOND",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_read: u32,

    /// Reads that one key or address may make at once
    #[arg(long, env = "EVALBOARD_RATE_READ_BURST", default_value_t = 200, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_read_burst: u32,

    /// Writes per second and key
    #[arg(long, env = "EVALBOARD_RATE_WRITE", default_value_t = 50, value_name = "PER_SECOND",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_write: u32,

    /// Writes that one key may make at once
    #[arg(long, env = "EVALBOARD_RATE_WRITE_BURST", default_value_t = 500, value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_write_burst: u32,

    /// Passwords that one address may try in a minute; with more tries of one account, from wherever, each is held back for a moment
    #[arg(long, env = "EVALBOARD_RATE_LOGIN", default_value_t = 5, value_name = "PER_MINUTE",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub rate_login: u32,
}

/// Returns where this program can be started from: on Linux also after its file was replaced by a newer one.
fn own_program() -> PathBuf {
    if cfg!(target_os = "linux") {
        return PathBuf::from("/proc/self/exe");
    }
    std::env::current_exe().unwrap_or_else(|_| PathBuf::from("evalboard"))
}

/// An amount of US dollars, 0 or more.
///
/// # Errors
/// What is wrong with it, for a person.
pub fn usd(text: &str) -> Result<f64, String> {
    let amount = text.trim().trim_start_matches('$').parse().ok();
    amount
        .filter(|amount: &f64| amount.is_finite() && *amount >= 0.0)
        .ok_or_else(|| "it must be US dollars, 0 or more, such as 5.00".to_owned())
}
