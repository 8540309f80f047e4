//! Places that a plugin talks to, by the names that its author gave them.

use crate::http::Request;

/// Where an endpoint is; from [`Http::endpoint`](crate::http::Http::endpoint).
///
/// The author of a plugin names what it talks to, and whoever approves it says where that is: another host than the
/// default, perhaps, and another path in front of all others.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    urls: Vec<String>,
}

impl Endpoint {
    pub(crate) fn at(urls: Vec<String>) -> Self {
        Self { urls }
    }

    /// The URL of its first place, without a slash at the end.
    pub fn url(&self) -> &str {
        self.urls.first().map_or("", String::as_str)
    }

    /// The URLs of all its places.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// A request of any method to a path of the first place.
    pub fn request(&self, method: impl Into<String>, path: &str) -> Request {
        let slash = if path.starts_with('/') { "" } else { "/" };
        Request::new(method, format!("{}{slash}{path}", self.url()))
    }

    /// A `GET` request to a path of the first place.
    pub fn get(&self, path: &str) -> Request {
        self.request("GET", path)
    }

    /// A `POST` request to a path of the first place.
    pub fn post(&self, path: &str) -> Request {
        self.request("POST", path)
    }

    /// A `PUT` request to a path of the first place.
    pub fn put(&self, path: &str) -> Request {
        self.request("PUT", path)
    }

    /// A `PATCH` request to a path of the first place.
    pub fn patch(&self, path: &str) -> Request {
        self.request("PATCH", path)
    }

    /// A `DELETE` request to a path of the first place.
    pub fn delete(&self, path: &str) -> Request {
        self.request("DELETE", path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stand_behind_the_url_with_one_slash() {
        let endpoint = Endpoint::at(vec!["https://a.example/api".to_owned()]);
        for path in ["/x?y=1", "x?y=1"] {
            assert_eq!(endpoint.get(path).url(), "https://a.example/api/x?y=1");
        }
        assert_eq!(endpoint.delete("/").url(), "https://a.example/api/");
    }
}
