package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/go-orpc/durable-iterator/client"
	"github.com/go-orpc/durable-iterator/rpc"
)

// account is a client of the service that authenticates every request.
type account struct {
	server string
	name   string
}

func (a account) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.SetBasicAuth(a.name, "")
	return http.DefaultTransport.RoundTrip(r)
}

func (a account) http() *http.Client { return &http.Client{Transport: a} }

// notices opens an iterator with tokens of the route that responds with a token only.
func (a account) notices(ctx context.Context) (*client.Iterator[Notice], error) {
	tokens := client.HTTPToken(a.server+"/notices", &client.HTTPTokenOptions{HTTPClient: a.http()})
	return client.Dial[Notice](ctx, tokens, &client.Options{URL: a.server + "/socket"})
}

// noticesOfMe opens an iterator with tokens that a function fetches. It is called again
// when a token has expired.
func (a account) noticesOfMe(ctx context.Context) (*client.Iterator[Notice], error) {
	tokens := client.TokenFunc(func(ctx context.Context) (string, error) {
		me, err := a.me(ctx)
		return me.Notices, err
	})
	return client.Dial[Notice](ctx, tokens, &client.Options{URL: a.server + "/socket"})
}

func (a account) me(ctx context.Context) (Profile, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.server+"/me", nil)
	if err != nil {
		return Profile{}, err
	}
	answer, err := a.http().Do(r)
	if err != nil {
		return Profile{}, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return Profile{}, fmt.Errorf("GET /me: %s", answer.Status)
	}
	var me Profile
	return me, json.NewDecoder(answer.Body).Decode(&me)
}

// notify calls the procedure.
func (a account) notify(ctx context.Context, to, text string) error {
	link := rpc.NewLink(a.server+"/rpc", &rpc.LinkOptions{HTTPClient: a.http()})
	_, err := Notify.Call(ctx, link, NotifyInput{To: to, Text: text})
	return err
}
