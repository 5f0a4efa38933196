package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	// sessionCookie is the name of the session cookie.
	sessionCookie = "admin_session"
	// sessionLife is how long a session lasts.
	sessionLife = 8 * time.Hour
	// minAdminToken is the minimum length of the token to sign in with. There is no other
	// protection against guessing it.
	minAdminToken = 16
)

// sessions recognizes sessions by a cookie that is signed with the admin's token, so that
// nothing has to be stored. Another token ends all sessions.
type sessions struct{ admin string }

func newSessions(admin string) (sessions, error) {
	if len(admin) < minAdminToken {
		return sessions{}, errors.New("the admin's token is shorter than 16 characters")
	}
	return sessions{admin}, nil
}

// check reports whether a token is the admin's. It takes the same time for all tokens of
// the same length.
func (s sessions) check(token string) bool {
	got, want := sha256.Sum256([]byte(token)), sha256.Sum256([]byte(s.admin))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}

// begin returns the cookie of a new session.
func (s sessions) begin(r *http.Request, now time.Time) *http.Cookie {
	end := strconv.FormatInt(now.Add(sessionLife).Unix(), 10)
	return cookie(r, end+"."+s.sign(end), int(sessionLife.Seconds()))
}

// end returns a cookie that removes the session cookie.
func (s sessions) end(r *http.Request) *http.Cookie { return cookie(r, "", -1) }

func cookie(r *http.Request, value string, age int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // it is Secure if there is TLS
		Name: sessionCookie, Value: value, Path: "/admin/", MaxAge: age,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: r.TLS != nil, // set it behind a proxy with TLS
	}
}

// valid reports whether a request has the cookie of a session that has not ended.
func (s sessions) valid(r *http.Request, now time.Time) bool {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return false
	}
	end, signature, _ := strings.Cut(c.Value, ".")
	if !hmac.Equal([]byte(signature), []byte(s.sign(end))) {
		return false
	}
	seconds, err := strconv.ParseInt(end, 10, 64)
	return err == nil && now.Before(time.Unix(seconds, 0))
}

func (s sessions) sign(end string) string {
	mac := hmac.New(sha256.New, []byte(s.admin))
	mac.Write([]byte("admin session until " + end))
	return hex.EncodeToString(mac.Sum(nil))
}
