// The same series in a server on client_golang, as its documentation has one make it: promhttp with its defaults.
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go build -o client_golang benches/go/main.go
//	client_golang SERIES
//
// SERIES is what `bench_http series` prints. It prints `listening ADDRESS` once it can be asked.
package main

import (
	"bufio"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

func fill(counters *prometheus.CounterVec, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Split(lines.Text(), "\t")
		if len(fields) != 5 {
			return fmt.Errorf("not a series: %q", lines.Text())
		}
		value, err := strconv.ParseFloat(fields[4], 64)
		if err != nil {
			return err
		}
		counters.WithLabelValues(fields[:4]...).Add(value)
	}
	return lines.Err()
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: client_golang SERIES")
	}
	counters := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "tencent_live_stream_disconnects_total",
		Help: "Finished pushes.",
	}, []string{"domain", "app", "stream", "reason"})
	if err := fill(counters, os.Args[1]); err != nil {
		log.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(counters)
	http.Handle("/metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("listening", listener.Addr())
	log.Fatal(http.Serve(listener, nil))
}
