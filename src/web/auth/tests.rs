use base64::Engine as _;

use super::*;

/// bcrypt at its least, so that tests are quick; `right` in each.
fn hash(cost: u32) -> Secret {
    Secret::new(bcrypt::hash("right", cost).unwrap())
}

fn guard(users: &[(&str, u32)]) -> Guard {
    let users = users.iter().map(|(user, cost)| ((*user).to_owned(), hash(*cost))).collect();
    Guard::new(Terms { users, ..Terms::default() }).unwrap()
}

fn headers(user: &str, password: &str) -> HeaderMap {
    let login = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
    HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::try_from(format!("Basic {login}")).unwrap())])
}

fn peer(last: u8) -> IpAddr {
    [192, 0, 2, last].into()
}

async fn ask(guard: &Guard, user: &str, password: &str) -> Result<(), Refusal> {
    guard.check("/metrics", &headers(user, password), peer(1)).await
}

#[tokio::test]
async fn f9_a_password_goes_through_bcrypt_once_and_a_right_one_waits_for_nobody() {
    let guard = guard(&[("alice", 4)]);
    assert_eq!(ask(&guard, "alice", "right").await, Ok(()));
    let rounds = guard.pool.rounds();
    // Every place of the queue is taken, and the worker does not come.
    let _worker = Arc::new(guard.pool.turn(peer(99)).await.unwrap());
    for _ in 0..100 {
        assert_eq!(ask(&guard, "alice", "right").await, Ok(()));
    }
    assert_eq!(guard.pool.rounds(), rounds);
}

#[tokio::test]
async fn f9_past_the_queue_and_past_an_addresss_share_of_it_clients_are_asked_to_come_again() {
    let guard = Arc::new(guard(&[("alice", 4)]));
    let worker = guard.pool.turn(peer(99)).await.unwrap();
    let ask_from = |last: u8| {
        let guard = Arc::clone(&guard);
        tokio::spawn(async move { guard.check("/", &headers("alice", "wrong"), peer(last)).await })
    };
    let mut waiting: Vec<_> = [1, 1].into_iter().map(ask_from).collect();
    while guard.pool.taken() < 3 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask_from(1).await.unwrap(), Err(Refusal::TooMany(pool::COME_AGAIN)), "beyond its share");
    waiting.extend([2, 2, 3, 3, 4, 4].into_iter().map(ask_from));
    while guard.pool.taken() < 1 + pool::QUEUE {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask_from(5).await.unwrap(), Err(Refusal::TooMany(pool::COME_AGAIN)), "beyond the queue");
    drop(worker);
    for one in waiting {
        assert_eq!(one.await.unwrap(), Err(Refusal::Unknown));
    }
    assert_eq!(guard.pool.taken(), 0);
    assert_eq!(ask_from(1).await.unwrap(), Err(Refusal::Unknown), "there is a place again");
}

#[tokio::test]
async fn f10_an_unknown_user_and_a_wrong_password_are_the_same_work() {
    let guard = guard(&[("cheap", 4), ("dear", 7)]);
    for (user, password) in
        [("cheap", "wrong"), ("dear", "wrong"), ("nobody", "wrong"), ("nobody", "right"), ("", ""), ("cheap", "righ")]
    {
        let before = guard.pool.rounds();
        assert_eq!(ask(&guard, user, password).await, Err(Refusal::Unknown), "{user}");
        assert_eq!(guard.pool.rounds() - before, 1 << 7, "{user}");
    }
    // A second time too: what was wrong is not remembered.
    let before = guard.pool.rounds();
    assert_eq!(ask(&guard, "cheap", "wrong").await, Err(Refusal::Unknown));
    assert_eq!(guard.pool.rounds() - before, 1 << 7);
}

#[tokio::test]
async fn f10_what_is_no_login_at_all_costs_nothing() {
    let guard = guard(&[("alice", 4)]);
    let too_long = headers("alice", &"x".repeat(73));
    let odd = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static("Bearer abc"))]);
    for headers in [HeaderMap::new(), odd, too_long] {
        assert_eq!(guard.check("/metrics", &headers, peer(1)).await, Err(Refusal::Unknown));
    }
    assert_eq!(guard.pool.rounds(), 0);
}

#[tokio::test]
async fn f9_bad_requests_do_not_spend_the_rate_of_one_who_got_in() {
    let rate_limit = Some((Duration::from_secs(3600), 3));
    let users = BTreeMap::from([("alice".to_owned(), hash(4))]);
    let guard = Guard::new(Terms { users, rate_limit, ..Terms::default() }).unwrap();
    assert_eq!(ask(&guard, "alice", "right").await, Ok(()), "the first one, through bcrypt");
    for _ in 0..2 {
        assert_eq!(ask(&guard, "alice", "wrong").await, Err(Refusal::Unknown));
    }
    let anybody = guard.check("/metrics", &HeaderMap::new(), peer(1)).await;
    assert!(matches!(anybody, Err(Refusal::TooMany(_))), "{anybody:?}");
    for _ in 0..3 {
        assert_eq!(ask(&guard, "alice", "right").await, Ok(()));
    }
    assert!(matches!(ask(&guard, "alice", "right").await, Err(Refusal::TooMany(_))), "its own is spent by itself");
    assert_eq!(guard.check("/metrics", &headers("alice", "right"), peer(2)).await, Ok(()), "another address");
    assert_eq!(guard.check("/-/healthy", &HeaderMap::new(), peer(1)).await, Ok(()));
}

#[tokio::test]
async fn k1_a_change_that_opens_what_was_closed_is_refused_and_the_old_terms_stay() {
    let guard = guard(&[("alice", 4)]);
    let opened = guard.replace(Terms::default()).unwrap_err();
    assert_eq!(opened.to_string(), "passwords are switched off at a start only; restart to do so");
    assert_eq!(ask(&guard, "nobody", "right").await, Err(Refusal::Unknown));
    let users = BTreeMap::from([("bob".to_owned(), hash(4))]);
    guard.replace(Terms { users, ..Terms::default() }).unwrap();
    assert_eq!(ask(&guard, "bob", "right").await, Ok(()));
    assert_eq!(ask(&guard, "alice", "right").await, Err(Refusal::Unknown));
}
