//! A provider of the bundled table, reached at an address of the test's: everything else is as users get it.

use overnight::catalog::Catalog;
use overnight::catalog::endpoint::{Endpoint, Header, Secret};
use overnight::catalog::provider::Key;

/// How the provider of this name is reached at `base_url`, with a key.
pub(crate) fn endpoint(name: &str, base_url: &str, key: &str) -> Endpoint {
    let mut provider = Catalog::bundled().provider(name).unwrap().clone();
    provider.base_url = Some(base_url.to_owned());
    let place = provider.key_names.first().map_or("nowhere", String::as_str).to_owned();
    provider.key = Key::Found(Secret::new(key), place);
    provider.endpoint().unwrap()
}

/// A header of the config.
pub(crate) fn header(name: &str, value: &str) -> Header {
    Header { name: name.to_owned(), value: Secret::new(value), is_key: false }
}
