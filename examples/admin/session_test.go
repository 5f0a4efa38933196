package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOnlyTheOperatorGetsIn(t *testing.T) {
	bubble(t, func(t *testing.T, s *site) {
		ann := s.join("lobby", "Ann", "1")
		kick := url.Values{"channel": {"lobby"}, "subject": {"Ann"}, "id": {"1"}}
		refused := func(why string, want int, path string, form url.Values, header ...string) {
			t.Helper()
			status, page := s.ask(path, form, header...)
			require.Equal(t, want, status, why)
			require.NotContains(t, page, "Ann", why)
		}
		everything := func(why string, header ...string) {
			t.Helper()
			refused(why, http.StatusUnauthorized, "/admin/", nil, header...)
			refused(why, http.StatusUnauthorized, "/admin/kick", kick, header...)
			refused(why, http.StatusUnauthorized, "/admin/revoke", kick, header...)
			refused(why, http.StatusUnauthorized, "/admin/logout", kick, header...)
		}
		everything("without a cookie")
		for _, tok := range []string{"", "wrong", adminToken + " ", adminToken[1:]} {
			refused("token "+tok, http.StatusUnauthorized, "/admin/login", url.Values{"token": {tok}})
		}
		refused("a token in the address", http.StatusUnauthorized, "/admin/login?token="+url.QueryEscape(adminToken), url.Values{})
		everything("after wrong tokens")
		end := fmt.Sprint(time.Now().Add(time.Hour).Unix())
		for _, value := range []string{"", end, end + ".", "." + sessions{adminToken}.sign(""), end + "." + sessions{"another token of operators"}.sign(end)} {
			everything("a forged cookie", "Cookie", sessionCookie+"="+value)
		}

		s.signIn()
		refused("from a page of another site", http.StatusForbidden, "/admin/kick", kick, "Sec-Fetch-Site", "cross-site")
		refused("from a page of another origin", http.StatusForbidden, "/admin/kick", kick, "Origin", "https://evil.example")
		refused("by an address", http.StatusMethodNotAllowed, "/admin/kick?"+kick.Encode(), nil)
		refused("by an address", http.StatusMethodNotAllowed, "/admin/revoke?"+kick.Encode(), nil)
		require.Equal(t, 1, s.rooms.Stats().Websockets)

		time.Sleep(sessionLife)
		refused("when the session has ended", http.StatusUnauthorized, "/admin/kick", kick)
		s.signIn()
		_, page := s.ask("/admin/logout", url.Values{})
		require.Contains(t, page, "Sign in")
		everything("after signing out")
		require.NoError(t, ann.Close())
	})
}

func TestPageIsLockedDown(t *testing.T) {
	t.Parallel()
	_, err := newServer(config{Key: "key", Admin: "short"})
	require.ErrorContains(t, err, "shorter than 16")
	s, err := newServer(config{Key: "key", Admin: adminToken})
	require.NoError(t, err)
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "https://rooms.example/admin/login", strings.NewReader(url.Values{"token": {adminToken}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	s.handler.ServeHTTP(w, r)
	require.Equal(t, http.StatusSeeOther, w.Code)
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))
	c := w.Result().Cookies()[0]
	require.True(t, c.HttpOnly)
	require.True(t, c.Secure)
	require.Equal(t, http.SameSiteStrictMode, c.SameSite)
	require.NotContains(t, c.Value, adminToken)
	require.NoError(t, s.rooms.Shutdown(t.Context()))
}
