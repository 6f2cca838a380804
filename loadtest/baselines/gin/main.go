// An LLM orchestrator as one would write it with Gin: validate the request against a schema, normalize its text, call the
// model, return or relay the answer.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
	"golang.org/x/text/unicode/norm"
)

type message struct {
	Role    string `json:"role" binding:"required,oneof=system developer user assistant"`
	Content string `json:"content" binding:"required,min=1,max=200000"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type chatRequest struct {
	Model               string         `json:"model" binding:"required,max=256"`
	Messages            []message      `json:"messages" binding:"required,min=1,max=256,dive"`
	Title               string         `json:"title,omitempty" binding:"max=256"`
	Temperature         *float64       `json:"temperature,omitempty" binding:"omitempty,gte=0,lte=2"`
	MaxCompletionTokens *int           `json:"max_completion_tokens,omitempty" binding:"omitempty,gte=1"`
	Stream              bool           `json:"stream,omitempty"`
	StreamOptions       *streamOptions `json:"stream_options,omitempty"`
}

type server struct {
	client   *http.Client
	upstream string
	key      string
}

func (s *server) authorize(c *gin.Context) {
	if c.GetHeader("Authorization") != "Bearer "+s.key {
		c.AbortWithStatusJSON(http.StatusUnauthorized, gin.H{"error": "invalid api key"})
	}
}

func (s *server) chat(c *gin.Context) {
	var request chatRequest
	if err := c.ShouldBindJSON(&request); err != nil {
		c.JSON(http.StatusBadRequest, gin.H{"error": err.Error()})
		return
	}
	for i := range request.Messages {
		request.Messages[i].Content = strings.TrimSpace(norm.NFC.String(request.Messages[i].Content))
	}
	body, err := json.Marshal(request)
	if err != nil {
		c.JSON(http.StatusInternalServerError, gin.H{"error": err.Error()})
		return
	}
	call, err := http.NewRequestWithContext(c.Request.Context(), http.MethodPost, s.upstream+"/v1/chat/completions",
		bytes.NewReader(body))
	if err != nil {
		c.JSON(http.StatusInternalServerError, gin.H{"error": err.Error()})
		return
	}
	call.Header.Set("Content-Type", "application/json")
	answer, err := s.client.Do(call)
	if err != nil {
		c.JSON(http.StatusBadGateway, gin.H{"error": err.Error()})
		return
	}
	defer answer.Body.Close()
	if request.Stream {
		relay(c, answer)
		return
	}
	var result map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&result); err != nil {
		c.JSON(http.StatusBadGateway, gin.H{"error": err.Error()})
		return
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	c.JSON(answer.StatusCode, result)
}

// relay sends each line as it comes, and flushes at the blank line that ends an event.
func relay(c *gin.Context, answer *http.Response) {
	c.Header("Content-Type", "text/event-stream")
	c.Header("Cache-Control", "no-cache")
	c.Status(answer.StatusCode)
	lines := bufio.NewReader(answer.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			if _, err := c.Writer.Write(line); err != nil {
				return
			}
			if len(line) <= 2 {
				c.Writer.Flush()
			}
		}
		if err != nil {
			c.Writer.Flush()
			return
		}
	}
}

func main() {
	gin.SetMode(gin.ReleaseMode)
	s := &server{
		upstream: os.Getenv("UPSTREAM_URL"),
		key:      os.Getenv("API_KEY"),
		client: &http.Client{
			Timeout:   60 * time.Second,
			Transport: &http.Transport{MaxIdleConns: 0, MaxIdleConnsPerHost: 20000, IdleConnTimeout: 90 * time.Second},
		},
	}
	router := gin.New()
	router.Use(gin.Recovery())
	router.POST("/v1/chat/completions", s.authorize, s.chat)
	listener, err := net.Listen("tcp", os.Getenv("LISTEN"))
	if err != nil {
		log.Fatal(err)
	}
	log.Printf("listening address=%s", listener.Addr())
	log.Fatal(http.Serve(listener, router))
}
