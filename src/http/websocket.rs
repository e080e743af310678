//! WebSocket at `/rpc`: the same methods as over POST, and the change feed.
//!
//! One task serves a connection. It reads only as much as it may have under way, and writes before it reads on: a peer
//! that does not read is neither answered nor read, and dropped after a while.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message as Frame, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{FromRequestParts as _, Request};
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse as _, Response as HttpResponse};
use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::admission::limit_error;
use super::fairness::{Account, Counted};
use super::head::check_origin;
use super::{App, Incoming, NO_TOKEN, Refused, batch, unauthenticated};
use crate::limits;
use crate::mcp::changes::{Channel, Desk};
use crate::mcp::{Face, carries_session_token, is_unauthenticated};
use crate::rpc::{Caller, INVALID_REQUEST, Kind, Message, Response, error, id_in};

/// Requests under way on one connection; each entry of a batch is one. Below the 64 of a token, of which the connection
/// is one itself.
const IN_FLIGHT: u32 = 60;
/// News that wait for the peer to read.
const NEWS: usize = 64;
/// How long the peer may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(2);

/// Whether a request wants to become a WebSocket.
pub(super) fn is_upgrade(request: &Request) -> bool {
    let upgrade = request.headers().get(header::UPGRADE).and_then(|value| value.to_str().ok());
    request.method() == Method::GET && upgrade.is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
}

/// Opens one. Its token comes in the header, as everywhere.
pub(super) async fn open(app: App, request: Request) -> HttpResponse {
    let token_came = request.headers().contains_key(header::AUTHORIZATION);
    let response = upgrade(&app, request).await.unwrap_or_else(|refusal| *refusal);
    app.metrics.answered(Face::Plain, super::oauth::with_challenge(&app, token_came, response))
}

async fn upgrade(app: &App, request: Request) -> Result<HttpResponse, Refused> {
    let (mut head, _) = request.into_parts();
    check_origin(&app.options, &head.uri, &head.headers)?;
    let (caller, peer, account) = Incoming::caller(app, Face::Plain, None, &head).await?;
    let Some(shown) = caller.shown.clone() else { return Err(Box::new(unauthenticated("null", NO_TOKEN))) };
    // Known to the limits is also who was good before: here the token is looked at itself.
    if let Err(cause) = app.server.bureau.principal_at(&shown, caller.origin.address).await {
        app.fairness.failed(peer);
        app.fairness.forget(&shown);
        return Err(Box::new(unauthenticated("null", cause.message())));
    }
    let incoming = Incoming {
        app,
        face: Face::Plain,
        headers: HeaderMap::new(),
        body: Bytes::new(),
        caller: caller.clone(),
        peer,
        account,
    };
    let request = incoming.admit(None, 1).await?.into_request();
    let account = super::admission::known(app, Some(&shown), peer)?;
    let Some(account) = account else { return Err(Box::new(unauthenticated("null", NO_TOKEN))) };
    let upgrade = match WebSocketUpgrade::from_request_parts(&mut head, &()).await {
        Ok(upgrade) => upgrade,
        Err(cause) => return Ok(cause.into_response()),
    };
    let connection = Arc::new(Connection { app: app.clone(), caller, account });
    let upgrade = upgrade.max_message_size(limits::MESSAGE_BYTES).max_frame_size(limits::MESSAGE_BYTES);
    Ok(upgrade.on_upgrade(move |socket| serve(socket, connection, request)))
}

/// Who is at the other end.
struct Connection {
    app: App,
    caller: Caller,
    account: Arc<Account>,
}

/// What came of one message.
struct Answered {
    /// What is to be sent; nothing for notifications.
    text: Option<Utf8Bytes>,
    /// What the message subscribed to, to begin with the answer.
    channel: Arc<Channel>,
    /// Whether the connection's own token was not accepted.
    revoked: bool,
    _turn: OwnedSemaphorePermit,
}

/// A frame that says why the connection ends.
fn goodbye(code: u16, reason: &'static str) -> CloseFrame {
    CloseFrame { code, reason: Utf8Bytes::from_static(reason) }
}

const REVOKED: &str = "The token is not good any more. Connect with another one.";

async fn serve(mut socket: WebSocket, connection: Arc<Connection>, _request: Counted) {
    let (news, mut news_queue) = mpsc::channel(NEWS);
    let desk = Desk::new(news);
    if let Some(frame) = converse(&mut socket, &connection, &desk, &mut news_queue).await {
        let _ = timeout(GOODBYE, async {
            let _ = socket.send(Frame::Close(Some(frame))).await;
            while let Some(Ok(_)) = socket.recv().await {}
        })
        .await;
    }
    desk.close();
}

/// Serves until there is a reason to end, which is told to the peer if it is still there.
async fn converse(
    socket: &mut WebSocket,
    connection: &Arc<Connection>,
    desk: &Arc<Desk>,
    news: &mut mpsc::Receiver<Bytes>,
) -> Option<CloseFrame> {
    let timeouts = connection.app.options.timeouts;
    let mut stopping = connection.app.stopping.clone();
    let mut stops = false;
    let turns = Arc::new(Semaphore::new(usize::try_from(IN_FLIGHT).unwrap_or(1)));
    let idles = || u32::try_from(turns.available_permits()).is_ok_and(|free| free == IN_FLIGHT);
    let (answers, mut answered) = mpsc::channel(usize::try_from(IN_FLIGHT).unwrap_or(1));
    let begin = Instant::now().checked_add(timeouts.ping).unwrap_or_else(Instant::now);
    let mut ping = interval_at(begin, timeouts.ping);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut heard, mut used) = (Instant::now(), Instant::now());
    // Read, and not yet begun for want of turns.
    let mut waiting: Option<(Utf8Bytes, u32)> = None;
    loop {
        if let Some((text, calls)) = waiting.take() {
            match turns.clone().try_acquire_many_owned(calls) {
                Ok(turn) => connection.begin(text, turn, desk, &answers),
                Err(_) => waiting = Some((text, calls)),
            }
        }
        if stops && idles() {
            return Some(goodbye(close_code::AWAY, "The server stops."));
        }
        let reads = waiting.is_none() && !stops;
        if !reads {
            heard = Instant::now();
        }
        let sent = tokio::select! {
            biased;
            one = answered.recv() => {
                // This end holds a sender, so there is always one more.
                let Answered { text, channel, revoked, _turn } = one?;
                if let Some(text) = text {
                    send(socket, Frame::Text(text), timeouts.stalled_write).await?;
                }
                channel.begin();
                if revoked {
                    return Some(goodbye(close_code::POLICY, REVOKED));
                }
                continue;
            }
            () = desk.revoked.notified() => return Some(goodbye(close_code::POLICY, REVOKED)),
            told = stopping.changed() => {
                // Its end: the time for goodbyes is over.
                told.ok()?;
                stops = *stopping.borrow();
                continue;
            }
            one = news.recv() => match one.and_then(|message| Utf8Bytes::try_from(message).ok()) {
                Some(text) => Frame::Text(text),
                None => continue,
            },
            _ = ping.tick() => {
                if heard.elapsed() > timeouts.ping.saturating_mul(2) {
                    return Some(goodbye(close_code::AWAY, "Pings were not answered."));
                }
                if idles() && desk.count() == 0 && used.elapsed() > timeouts.websocket_idle {
                    return Some(goodbye(close_code::NORMAL, "Nothing was asked for a long time."));
                }
                Frame::Ping(Bytes::new())
            }
            frame = socket.recv(), if reads => {
                heard = Instant::now();
                match frame? {
                    Ok(Frame::Text(text)) => {
                        used = heard;
                        let calls = batch::size(&text).clamp(1, IN_FLIGHT);
                        waiting = Some((text, calls));
                    }
                    Ok(Frame::Binary(_)) => return Some(goodbye(close_code::UNSUPPORTED, "Messages are text.")),
                    Ok(Frame::Close(_)) => {
                        // The library has its answer ready; reading on sends it.
                        let _ = timeout(GOODBYE, socket.recv()).await;
                        return None;
                    }
                    Ok(_) => {}
                    Err(cause) => return reason(&cause.to_string()),
                }
                continue;
            }
        };
        send(socket, sent, timeouts.stalled_write).await?;
    }
}

/// Sends a frame; nothing when the peer has gone, or does not read.
async fn send(socket: &mut WebSocket, frame: Frame, patience: Duration) -> Option<()> {
    timeout(patience, socket.send(frame)).await.ok()?.ok()
}

/// What to say of a frame that could not be read. The library tells kinds of faults apart by their texts only.
fn reason(cause: &str) -> Option<CloseFrame> {
    if cause.starts_with("Space limit exceeded") {
        return Some(goodbye(close_code::SIZE, "A message may have 1 MiB at most."));
    }
    if cause.contains("UTF-8") {
        return Some(goodbye(close_code::INVALID, "A message must be UTF-8."));
    }
    cause.contains("protocol error").then(|| goodbye(close_code::PROTOCOL, "This is no WebSocket frame."))
}

impl Connection {
    /// Has a message answered on a task of its own.
    fn begin(
        self: &Arc<Self>,
        text: Utf8Bytes,
        turn: OwnedSemaphorePermit,
        desk: &Arc<Desk>,
        answers: &mpsc::Sender<Answered>,
    ) {
        let (connection, answers, channel) = (self.clone(), answers.clone(), Channel::new(desk));
        tokio::spawn(async move {
            let mut caller = connection.caller.clone();
            caller.channel = Some(channel.clone());
            let (text, revoked) = connection.answer(text.as_str(), caller).await;
            let text = text.and_then(|text| Utf8Bytes::try_from(text).ok());
            let _ = answers.send(Answered { text, channel, revoked, _turn: turn }).await;
        });
    }

    /// What is to be sent, and whether the connection's token was not accepted.
    async fn answer(&self, text: &str, caller: Caller) -> (Option<Bytes>, bool) {
        let server = &self.app.server;
        let refuse = |id: &str, cause| (Some(Response::new(id, Err(cause)).joined()), false);
        if let Some(why) = limits::refusal(text.as_bytes()) {
            return refuse("null", error(INVALID_REQUEST, why));
        }
        if text.trim_start().starts_with('[') {
            let entries = match batch::entries(text) {
                Ok(entries) => entries,
                Err(cause) => return refuse("null", cause),
            };
            return match self.app.fairness.enter(self.account.clone(), entries.len()).await {
                Ok(permit) => {
                    let answers = batch::answers(server, Face::Plain, Arc::new(caller), permit, entries).await;
                    (answers.map(Bytes::from), false)
                }
                Err(limited) => refuse("null", limit_error(&limited)),
            };
        }
        let message = match Message::read(text) {
            Ok(message) => message,
            Err(cause) => return refuse(&id_in(text), cause),
        };
        // What wants no answer is carried out all the same.
        let answered = match message.kind(true) {
            Ok(Kind::Request) => true,
            Ok(Kind::Notification) => false,
            Ok(Kind::Response) => return (None, false),
            Err(cause) => return refuse(message.id(), cause),
        };
        let _permit = match self.app.fairness.enter(self.account.clone(), 1).await {
            Ok(permit) => permit,
            Err(limited) => return refuse(message.id(), limit_error(&limited)),
        };
        let response = server.answer(Face::Plain, &message, Arc::new(caller)).await;
        let revoked = response.error_code.is_some_and(is_unauthenticated) && !carries_session_token(&message);
        (answered.then(|| response.joined()), revoked)
    }
}
