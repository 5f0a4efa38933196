package rpc_test

import (
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/go-orpc/durable-iterator/rpc/value"
)

// untag returns the Go value of a recorded one, in which {"$": kind} stands for values that
// JSON does not have.
func untag(t *testing.T, data json.RawMessage) any {
	t.Helper()
	var v any
	require.NoError(t, json.Unmarshal(data, &v))
	return untagValue(t, v)
}

func untagValue(t *testing.T, v any) any {
	t.Helper()
	switch v := v.(type) {
	case []any:
		for i := range v {
			v[i] = untagValue(t, v[i])
		}
		return v
	case map[string]any:
		if v["$"] == "file" {
			content, err := base64.StdEncoding.DecodeString(v["base64"].(string))
			require.NoError(t, err)
			return value.NewFile(v["name"].(string), v["type"].(string), content)
		}
		if kind, ok := v["$"]; ok {
			return untagKind(t, kind.(string), v["v"])
		}
		for key := range v {
			v[key] = untagValue(t, v[key])
		}
	}
	return v
}

func untagKind(t *testing.T, kind string, v any) any {
	t.Helper()
	switch kind {
	case "undefined":
		return value.Undefined{}
	case "bigint":
		i, ok := new(big.Int).SetString(v.(string), 10)
		require.True(t, ok)
		return i
	case "date":
		at, err := time.Parse(time.RFC3339Nano, v.(string))
		require.NoError(t, err)
		return at.UTC()
	case "url":
		u, err := url.Parse(v.(string))
		require.NoError(t, err)
		return u
	case "set":
		return value.Set(untagValue(t, v).([]any))
	case "map":
		var m value.Map
		for _, entry := range v.([]any) {
			pair := untagValue(t, entry).([]any)
			m = append(m, value.Entry{Key: pair[0], Value: pair[1]})
		}
		return m
	}
	require.Fail(t, "unknown kind", kind)
	return nil
}
