//! The server: it makes a child of the launcher's for each of its requests.
//!
//! To load a program takes a millisecond, to copy a small one that is loaded a tenth of that. The copies are children of
//! the launcher, which waits for them and kills them as its own. Invariant: it has one thread, keeps no descriptor of a
//! request, runs nothing of a candidate, and ends with the launcher.

use crate::memory::Files;
use crate::sys;

/// Where the launcher's socket is.
const SOCKET: i32 = 0;

/// What a child is to do.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) files: Files,
    pub(crate) plan_bytes: usize,
}

/// Answers requests until the launcher has gone, which is `None`; returns in each child with its request.
pub(crate) fn serve() -> Option<Request> {
    loop {
        let mut message = sys::Message::default();
        if !sys::receive(SOCKET, &mut message) {
            return None;
        }
        let Some(files) = files(&message) else {
            const INVALID: i64 = -22;
            message.close();
            sys::send(SOCKET, INVALID).then_some(())?;
            continue;
        };
        match sys::sibling() {
            Ok(0) => {
                sys::close(SOCKET);
                return Some(Request { files, plan_bytes: message.word as usize });
            }
            made => {
                message.close();
                let answer = made.unwrap_or_else(|error| -i64::from(error));
                sys::send(SOCKET, answer).then_some(())?;
            }
        }
    }
}

/// Four memory files, and a library if there is a fifth.
fn files(message: &sys::Message) -> Option<Files> {
    let (control, image, inputs, outputs, library) = match *message.files() {
        [control, image, inputs, outputs] => (control, image, inputs, outputs, 0),
        [control, image, inputs, outputs, library] => (control, image, inputs, outputs, library),
        _ => return None,
    };
    Some(Files { control, image, inputs, outputs, library })
}
