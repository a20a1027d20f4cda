//! What the page's worker calls: room for a request, then the request, then where its reply lies. No generated glue: three functions.

#![allow(unsafe_code, reason = "a function that is exported by its name counts as unsafe: two crates may use one name")]

use std::cell::RefCell;

use crate::talk::Talk;

/// The conversation, and the text that goes in or out.
#[derive(Default)]
struct Desk {
    talk: Talk,
    text: Vec<u8>,
}

thread_local! {
    static DESK: RefCell<Desk> = RefCell::default();
}

/// Makes room for a request of `len` bytes of UTF-8, and returns where.
#[unsafe(no_mangle)]
extern "C" fn request(len: usize) -> *mut u8 {
    DESK.with_borrow_mut(|desk| {
        desk.text = vec![0; len];
        desk.text.as_mut_ptr()
    })
}

/// Answers the request that was written there; returns the length of the reply in bytes.
#[unsafe(no_mangle)]
extern "C" fn answer() -> usize {
    DESK.with_borrow_mut(|desk| {
        let request = String::from_utf8_lossy(&std::mem::take(&mut desk.text)).into_owned();
        desk.text = desk.talk.answer(&request).into_bytes();
        desk.text.len()
    })
}

/// Where the reply lies.
#[unsafe(no_mangle)]
extern "C" fn reply() -> *const u8 {
    DESK.with_borrow(|desk| desk.text.as_ptr())
}
