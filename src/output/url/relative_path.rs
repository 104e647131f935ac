//! Relative paths in the URL of an output.

use std::path::Path;

/// The URL with its relative paths prefixed by `folder`: those of `file:` and `unix:`, and those of
/// `ca=`, `cert=`, `key=`, `headers=`, `login=`, and `refused=file:`. Everything else stays
/// unchanged, even if it is not a valid URL.
///
/// ```
/// use std::path::Path;
/// use wecrelay::output::anchored;
///
/// let folder = Path::new("/etc/wecrelay");
/// assert_eq!(anchored("file:events?sync=yes", folder), "file:/etc/wecrelay/events?sync=yes");
/// assert_eq!(anchored("tls://a?ca=b&name=c", folder), "tls://a?ca=/etc/wecrelay/b&name=c");
/// assert_eq!(anchored("relp://a?refused=file:b", folder), "relp://a?refused=file:/etc/wecrelay/b");
/// assert_eq!(anchored("kafka://a/b?login=c", folder), "kafka://a/b?login=/etc/wecrelay/c");
/// assert_eq!(anchored("unix:/dev/log", folder), "unix:/dev/log");
/// ```
#[must_use]
pub fn anchored(url: &str, folder: &Path) -> String {
    let (front, query) = url.split_once('?').unwrap_or((url, ""));
    let mut text = match front.split_once(':') {
        Some((scheme, path)) if is_local(scheme) => format!("{scheme}:{}", join(folder, path)),
        _ => front.to_owned(),
    };
    let mut mark = '?';
    for setting in query.split('&').filter(|setting| !setting.is_empty()) {
        text.push(mark);
        mark = '&';
        match setting.split_once('=') {
            Some((name @ ("ca" | "cert" | "key" | "headers" | "login"), path)) => {
                text.push_str(&format!("{name}={}", join(folder, path)));
            }
            Some(("refused", place)) if place.starts_with("file:") => {
                let path = place.get("file:".len()..).unwrap_or_default();
                text.push_str(&format!("refused=file:{}", join(folder, path)));
            }
            _ => text.push_str(setting),
        }
    }
    text
}

fn is_local(scheme: &str) -> bool {
    ["file", "unix"]
        .iter()
        .any(|s| s.eq_ignore_ascii_case(scheme))
}

/// An empty path stays empty.
fn join(folder: &Path, path: &str) -> String {
    match path {
        "" => String::new(),
        path => folder.join(path).to_string_lossy().into_owned(),
    }
}
