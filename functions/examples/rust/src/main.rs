//! Turns a title into a slug: "Hello, Edge World!" becomes "hello-edge-world". A plain CGI program
//! (RFC 3875), the same source for Wasm and the container.

use std::io::{self, Read, Write};

fn slug(title: &str) -> String {
    let words = title.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect::<Vec<_>>().join("-")
}

/// Exactly CONTENT_LENGTH bytes of standard input are the request's body.
fn body() -> io::Result<Vec<u8>> {
    let length = std::env::var("CONTENT_LENGTH").ok().and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut bytes = Vec::new();
    io::stdin().lock().take(length).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn main() -> io::Result<()> {
    let (status, text) = match String::from_utf8(body()?) {
        Ok(title) => ("200 OK", slug(&title)),
        Err(_) => ("400 Bad Request", "send a title in UTF-8".to_string()),
    };
    let mut out = io::stdout().lock();
    write!(out, "Status: {status}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}\n")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::slug;

    #[test]
    fn keeps_letters_and_digits_of_any_script() {
        assert_eq!(slug("Hello, Edge World!"), "hello-edge-world");
        assert_eq!(slug("  Über 9000 "), "über-9000");
        assert_eq!(slug("?!"), "");
    }
}
