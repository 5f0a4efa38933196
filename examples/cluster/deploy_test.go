package main

import (
	"cmp"
	"context"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// composition is the content of a file for Docker Compose.
type composition struct {
	Services map[string]service `yaml:"services"`
}

type service struct {
	Image       string   `yaml:"image"`
	Command     string   `yaml:"command"`
	WorkingDir  string   `yaml:"working_dir"`
	Volumes     []string `yaml:"volumes"`
	Ports       []string `yaml:"ports"`
	Environment []string `yaml:"environment"`
}

func compose(t *testing.T) *composition {
	t.Helper()
	text, err := os.ReadFile("deploy/compose.yaml")
	require.NoError(t, err)
	c := &composition{}
	require.NoError(t, yaml.Unmarshal(text, c))
	return c
}

// names returns the services whose names begin with prefix.
func (c *composition) names(prefix string) (names []string) {
	for name := range c.Services {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// source returns the path, relative to this file, that is mounted in a service as name.
func (s *service) source(name string) string {
	for _, v := range s.Volumes {
		host, inside, _ := strings.Cut(v, ":")
		inside = strings.TrimSuffix(inside, ":ro")
		if rest, found := strings.CutPrefix(name, inside); found && (rest == "" || rest[0] == '/') {
			return filepath.Join("deploy", host, rest)
		}
	}
	return "no volume has " + name
}

// chat returns the configuration that the flags of a replica set.
func (c *composition) chat(t *testing.T, name string) *config {
	t.Helper()
	s := c.Services[name]
	_, flags, found := strings.Cut(s.Command, "exec /tmp/chat ")
	require.True(t, found, s.Command)
	require.Contains(t, s.Command, "go build -buildvcs=false -o /tmp/chat .")
	cfg, set := &config{}, flag.NewFlagSet(name, flag.ContinueOnError)
	set.SetOutput(io.Discard)
	cfg.register(set)
	require.NoError(t, set.Parse(strings.Fields(strings.TrimSuffix(strings.TrimSpace(flags), `"`))))
	require.Empty(t, set.Args())
	return cfg
}

// goMod returns the match of a pattern in go.mod.
func goMod(t *testing.T, pattern string) string {
	t.Helper()
	text, err := os.ReadFile("go.mod")
	require.NoError(t, err)
	match := regexp.MustCompile(pattern).FindSubmatch(text)
	require.NotNil(t, match, pattern)
	return string(match[1])
}

func portOf(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return port
}

// The replicas are built from this directory, with flags and a secret that the program
// accepts.
func TestComposeRunsThisProgram(t *testing.T) {
	t.Parallel()
	c := compose(t)
	replicas := c.names("chat-")
	require.Len(t, replicas, 3)
	for _, name := range replicas {
		s, cfg := c.Services[name], c.chat(t, name)
		require.Equal(t, "golang:"+goMod(t, `(?m)^go (\d+\.\d+)`), s.Image)
		here, err := filepath.Abs(".")
		require.NoError(t, err)
		built, err := filepath.Abs(s.source(s.WorkingDir))
		require.NoError(t, err)
		require.Equal(t, here, built)
		require.FileExists(t, s.source(path.Join(s.WorkingDir, "../../go.work")), "the other modules are included")
		require.Equal(t, []string{secretVariable}, s.Environment)
		var hosts []string
		for u := range strings.SplitSeq(cfg.urls, ",") {
			parsed, err := url.Parse(u)
			require.NoError(t, err)
			hosts = append(hosts, parsed.Hostname())
			require.Equal(t, strconv.Itoa(server.DEFAULT_PORT), cmp.Or(parsed.Port(), strconv.Itoa(server.DEFAULT_PORT)))
		}
		require.ElementsMatch(t, c.names("nats-"), hosts)
		require.LessOrEqual(t, cfg.replicas, len(hosts))
	}
}

// The configuration of the NATS servers is valid, and they connect to each other.
func TestComposeRunsNATS(t *testing.T) {
	t.Parallel()
	c := compose(t)
	servers := c.names("nats-")
	require.Len(t, servers, 3)
	for _, name := range servers {
		s := c.Services[name]
		require.Equal(t, "nats:"+goMod(t, `nats-server/v2 v(\d+\.\d+)`), s.Image)
		args := strings.Fields(s.Command)
		for i, arg := range args {
			if strings.HasPrefix(arg, "/") {
				args[i] = s.source(arg)
			}
		}
		o, err := server.ConfigureOptions(flag.NewFlagSet(name, flag.ContinueOnError), args, nil, nil, nil)
		require.NoError(t, err)
		require.Equal(t, name, o.ServerName)
		require.True(t, o.JetStream)
		require.Equal(t, server.DEFAULT_PORT, cmp.Or(o.Port, server.DEFAULT_PORT))
		var hosts []string
		for _, route := range o.Routes {
			hosts = append(hosts, route.Hostname())
			require.Equal(t, strconv.Itoa(o.Cluster.Port), route.Port())
		}
		require.ElementsMatch(t, servers, hosts)
	}
}

// directive is a directive of nginx: a name, arguments and the directives in braces.
type directive struct {
	words []string
	block []directive
}

func nginx(t *testing.T) []directive {
	t.Helper()
	text, err := os.ReadFile("deploy/nginx.conf")
	require.NoError(t, err)
	text = regexp.MustCompile(`(?m)^\s*#.*$`).ReplaceAll(text, nil)
	tokens := regexp.MustCompile(`'[^']*'|[{};]|[^\s{};]+`).FindAllString(string(text), -1)
	var block func(inner bool) []directive
	block = func(inner bool) (list []directive) {
		var words []string
		for len(tokens) > 0 {
			token := tokens[0]
			tokens = tokens[1:]
			switch token {
			case ";":
				list, words = append(list, directive{words: words}), nil
			case "{":
				list, words = append(list, directive{words, block(true)}), nil
			case "}":
				require.Empty(t, words)
				return list
			default:
				words = append(words, token)
			}
		}
		require.Empty(t, words)
		require.False(t, inner, "a brace that is not closed")
		return list
	}
	list := block(false)
	require.Empty(t, tokens, "a closing brace without an opening one")
	return list
}

// find returns the directives at a path of names.
func find(list []directive, path ...string) (found []directive) {
	for _, d := range list {
		switch {
		case d.words[0] != path[0]:
		case len(path) == 1:
			found = append(found, d)
		default:
			found = append(found, find(d.block, path[1:]...)...)
		}
	}
	return found
}

// The proxy forwards to all replicas, at the paths that they serve, and forwards upgrades.
func TestComposeRunsNginx(t *testing.T) {
	t.Parallel()
	c, list := compose(t), nginx(t)
	proxy := c.Services["nginx"]
	require.Equal(t, "deploy/nginx.conf", proxy.source("/etc/nginx/nginx.conf"))
	require.Len(t, proxy.Ports, 1)
	_, inside, _ := strings.Cut(proxy.Ports[0], ":")
	require.Equal(t, []directive{{words: []string{"listen", inside}}}, find(list, "http", "server", "listen"))

	var hosts []string
	for _, d := range find(list, "http", "upstream", "server") {
		host, port, err := net.SplitHostPort(d.words[1])
		require.NoError(t, err)
		hosts = append(hosts, host)
		require.Equal(t, portOf(t, c.chat(t, host).listen), port)
	}
	require.ElementsMatch(t, c.names("chat-"), hosts)

	rooms := newRooms("replica", nil, "secret")
	t.Cleanup(func() { require.NoError(t, rooms.Shutdown(context.Background())) })
	mux := newHandler(rooms, "secret")
	for _, d := range find(list, "http", "server", "location") {
		require.Equal(t, []directive{{words: []string{"proxy_pass", "http://chat"}}}, find(d.block, "proxy_pass"))
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, d.words[1], nil)
		_, pattern := mux.Handler(r)
		require.Equal(t, d.words[1], pattern)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		var headers []string
		for _, h := range find(d.block, "proxy_set_header") {
			headers = append(headers, h.words[1])
		}
		if w.Code == http.StatusUpgradeRequired {
			require.ElementsMatch(t, []string{"Upgrade", "Connection", "Host"}, headers)
		} else {
			require.Empty(t, headers)
		}
	}
}
