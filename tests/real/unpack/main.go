// Unpacks standard input with the readers that Prometheus servers have: Go's own gzip, or klauspost's gzip and zstd.
package main

import (
	"compress/gzip"
	"fmt"
	"io"
	"os"

	fastgzip "github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

func reader(name string) (io.Reader, error) {
	switch name {
	case "gzip":
		return gzip.NewReader(os.Stdin)
	case "klauspost-gzip":
		return fastgzip.NewReader(os.Stdin)
	case "klauspost-zstd":
		return zstd.NewReader(os.Stdin)
	}
	return nil, fmt.Errorf("no reader is called %q", name)
}

func main() {
	unpacked, err := reader(os.Args[1])
	if err == nil {
		_, err = io.Copy(os.Stdout, unpacked)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
