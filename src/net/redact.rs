//! URLs and texts fit to be shown: without userinfo, query values and fragment.

use url::Url;

/// Stands in the place of what was taken out.
const HIDDEN: &str = "…";

/// Query values shorter than this are not looked for in texts: they would match anything.
const MIN_SECRET: usize = 4;

/// `url` without userinfo, query values and fragment. The names of query parameters stay.
pub(crate) fn url(url: &Url) -> String {
    let mut shown = url.clone();
    // Both fail only for URLs that cannot have a userinfo in the first place.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.set_fragment(None);
    shown.set_query(None);
    let mut text = shown.to_string();
    for (index, part) in url.query().unwrap_or_default().split('&').enumerate() {
        if part.is_empty() && index == 0 {
            continue;
        }
        text.push(if index == 0 { '?' } else { '&' });
        // Without `=` the whole may be the secret.
        if let Some((name, _)) = part.split_once('=') {
            text.push_str(name);
            text.push('=');
        }
        text.push_str(HIDDEN);
    }
    text
}

/// `text` without the query values, the userinfo and the fragment of `url`: servers like to quote the
/// request in their error pages.
pub(crate) fn text(text: &str, url: &Url) -> String {
    let mut secrets: Vec<String> = Vec::new();
    for part in url.query().unwrap_or_default().split('&') {
        secrets.push(part.split_once('=').map_or(part, |(_, value)| value).to_owned());
    }
    secrets.extend(url.query_pairs().map(|(_, value)| value.into_owned()));
    secrets.extend(url.password().map(str::to_owned));
    secrets.push(url.username().to_owned());
    secrets.extend(url.fragment().map(str::to_owned));
    secrets.retain(|secret| secret.len() >= MIN_SECRET);
    // Longest first, so that no rest of a longer one stays.
    secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), HIDDEN))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn n1_a_shown_url_has_no_userinfo_no_query_values_and_no_fragment() {
        let shown = url(&parse("https://me:pw@host:8443/a/b.mp4?sig=secret&key=&tok#frag"));
        assert_eq!(shown, "https://host:8443/a/b.mp4?sig=…&key=…&…");
        assert_eq!(url(&parse("http://host/plain")), "http://host/plain");
        assert_eq!(url(&parse("http://host/?")), "http://host/");
    }

    #[test]
    fn n1_a_quoted_request_in_an_error_page_shows_no_query_values() {
        let url = parse("http://h/f?sig=ab%2Bcd&exp=12345&v=1");
        let shown = text("no: sig=ab%2Bcd or ab+cd, exp 12345, v=1", &url);
        assert_eq!(shown, "no: sig=… or …, exp …, v=1");
    }
}
