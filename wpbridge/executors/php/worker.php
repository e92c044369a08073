<?php
/**
 * wpbridge's PHP worker: WordPress loaded once, many actions run.
 *
 * Started by wpbridge as `wp eval-file worker.php --path=…`, or as `php worker.php --path=…`, which
 * loads WordPress itself. Requests and answers are lines of JSON over two descriptors of their own
 * (docs/reference/php-protocol.md), so that stdout and stderr belong to the callbacks.
 *
 * @package wpbridge
 */

define( 'WPBRIDGE_WORKER', 2 ); // The protocol's version.

if ( ! defined( 'ABSPATH' ) ) {
	// Without WP-CLI. WordPress has to be loaded here, in the global scope.
	$wpbridge_options = wpbridge_options( isset( $argv ) ? array_slice( $argv, 1 ) : array() );
	require wpbridge_prepare_load( $wpbridge_options );
	if ( isset( $wpbridge_options['user'] ) ) {
		wpbridge_act_as( $wpbridge_options['user'] );
	}
}
( new Wpbridge_Worker() )->serve();

/**
 * Reads --name=value and --name.
 *
 * @param string[] $words Arguments.
 * @return array<string, string>
 */
function wpbridge_options( array $words ) {
	$found = array();
	foreach ( $words as $word ) {
		if ( preg_match( '/^--([a-z-]+)(?:=(.*))?$/s', $word, $parts ) ) {
			$found[ $parts[1] ] = isset( $parts[2] ) ? $parts[2] : '*';
		}
	}
	return $found;
}

/**
 * Makes ready what a web server or WP-CLI would, and names the file that loads WordPress.
 *
 * @param array<string, string> $options See wpbridge_options().
 * @return string
 */
function wpbridge_prepare_load( array $options ) {
	$folder = isset( $options['path'] ) ? $options['path'] : getcwd();
	$file   = rtrim( $folder, '/' ) . '/wp-load.php';
	if ( ! is_file( $file ) ) {
		fwrite( STDERR, "wpbridge worker: no wp-load.php in $folder\n" );
		exit( 1 );
	}
	$url   = isset( $options['url'] ) ? $options['url'] : 'http://localhost/';
	$parts = parse_url( strpos( $url, '//' ) === false ? "http://$url" : $url );
	$port  = isset( $parts['port'] ) ? ':' . $parts['port'] : '';
	$query = isset( $parts['query'] ) ? '?' . $parts['query'] : '';
	$path  = isset( $parts['path'] ) ? $parts['path'] : '/';
	$told  = array(
		'HTTP_HOST'       => $parts['host'] . $port,
		'SERVER_NAME'     => $parts['host'],
		'SERVER_PORT'     => isset( $parts['port'] ) ? (string) $parts['port'] : '80',
		'REQUEST_URI'     => $path . $query,
		'REQUEST_METHOD'  => 'GET',
		'SERVER_PROTOCOL' => 'HTTP/1.1',
		'HTTP_USER_AGENT' => '',
	);
	if ( isset( $parts['scheme'] ) && 'https' === $parts['scheme'] ) {
		$told['HTTPS'] = 'on';
	}
	$_SERVER = array_merge( $_SERVER, $told );
	define( 'WP_USE_THEMES', false );
	if ( isset( $options['skip-plugins'] ) ) {
		wpbridge_skip_plugins( $options['skip-plugins'] );
	}
	return $file;
}

/**
 * Leaves plugins out, by filters that stand before WordPress loads them (as WP-CLI does).
 *
 * @param string $names Folder or file names with commas; * for all.
 */
function wpbridge_skip_plugins( $names ) {
	$skipped = explode( ',', $names );
	$keep    = function ( $file ) use ( $names, $skipped ) {
		$name = false === strpos( $file, '/' ) ? basename( $file, '.php' ) : dirname( $file );
		return '*' !== $names && ! in_array( $name, $skipped, true );
	};
	$list    = function ( $plugins ) use ( $keep ) {
		return is_array( $plugins ) ? array_values( array_filter( $plugins, $keep ) ) : $plugins;
	};
	$network = function ( $plugins ) use ( $keep ) {
		return is_array( $plugins ) ? array_filter( $plugins, $keep, ARRAY_FILTER_USE_KEY ) : $plugins;
	};
	foreach ( array( 'option_active_plugins' => $list, 'site_option_active_sitewide_plugins' => $network ) as $hook => $filter ) {
		$GLOBALS['wp_filter'][ $hook ][10]['wpbridge'] = array( 'function' => $filter, 'accepted_args' => 1 );
	}
}

/**
 * Sets the current user, by id, login or address.
 *
 * @param string $name As given to --user.
 */
function wpbridge_act_as( $name ) {
	$user = is_numeric( $name ) ? get_user_by( 'id', (int) $name ) : false;
	$user = $user ? $user : get_user_by( is_email( $name ) ? 'email' : 'login', $name );
	if ( ! $user ) {
		fwrite( STDERR, "wpbridge worker: no user $name\n" );
		exit( 1 );
	}
	wp_set_current_user( $user->ID );
}

/** Stands for wp_die() inside a callback. */
class Wpbridge_Died extends Error {}

/** One worker: reads requests, runs actions, answers. */
class Wpbridge_Worker {
	const FATAL = array( E_ERROR, E_PARSE, E_CORE_ERROR, E_COMPILE_ERROR, E_USER_ERROR, E_RECOVERABLE_ERROR );
	/** After an action that took longer, what was sent meanwhile goes back unstarted. */
	const PATIENCE_SECONDS = 1.0;
	/**
	 * After so long without work the database may have hung up. The host may also have been
	 * suspended, and what was sent before that may be others' now: it goes back unstarted.
	 */
	const IDLE_SECONDS = 30.0;
	/** Bytes of an error's message that are told. */
	const LONGEST_MESSAGE = 1 << 20;

	/** @var string What each answer carries. Static, so that no dump of an object shows it. */
	private static $secret = '';
	/** @var resource Requests. */
	private $in;
	/** @var resource Answers. */
	private $out;
	/** @var resource Where the mark between two actions' outputs is written. */
	private $err;
	/** @var string A line's beginning that came without its end. */
	private $partial = '';
	/** @var array Lines read and not handled yet. */
	private $waiting = array();
	/** @var string */
	private $marker = '';
	/** @var string */
	private $context = 'wpbridge';
	/** @var string bridge or native. */
	private $books = 'bridge';
	/** @var bool Whether actions without callbacks are failed, as the plugin does. */
	private $fail_missing = false;
	/** @var int|null The action that runs. */
	private $current = null;
	/** @var Throwable|null What the plugin's own runner caught. */
	private $caught = null;
	/** @var int */
	private $pid;
	/** @var string|null Freed when memory ran out, so that the cause can still be told. */
	private $reserve;
	/** @var int Bytes; with more the worker is replaced. */
	private $most_memory = PHP_INT_MAX;
	/** @var bool A callback began a transaction. */
	private $in_transaction = false;
	/** @var float When the last action ended. */
	private $ended_at = 0.0;
	/** @var array What is put back after each action. */
	private $clean = array();
	/** @var array The plugin's logger methods that are taken off while wpbridge keeps the books. */
	private $logging = array(
		'action_scheduler_begin_execute'     => array( 'log_started_action', 2 ),
		'action_scheduler_after_execute'     => array( 'log_completed_action', 3 ),
		'action_scheduler_failed_execution'  => array( 'log_failed_action', 3 ),
		'action_scheduler_execution_ignored' => array( 'log_ignored_action', 2 ),
	);

	/** Opens the channel. */
	public function __construct() {
		list( $in, $out ) = array_map( 'intval', explode( ',', getenv( 'WPBRIDGE_WORKER' ) . ',' ) );
		if ( ! $in || ! $out ) {
			fwrite( STDERR, "wpbridge worker: started by hand; wpbridge starts it itself\n" );
			exit( 1 );
		}
		// Where the code itself came over the channel, the stream that read it may have read on.
		$this->in  = isset( $GLOBALS['wpbridge_in'] ) ? $GLOBALS['wpbridge_in'] : fopen( "php://fd/$in", 'r' );
		$this->out = fopen( "php://fd/$out", 'w' );
		$this->err = fopen( 'php://fd/2', 'w' );
		$this->pid = getmypid();
		putenv( 'WPBRIDGE_WORKER' );
		unset( $_ENV['WPBRIDGE_WORKER'], $_SERVER['WPBRIDGE_WORKER'] );
		$this->keep_from_children();
	}

	/** Closes the channel to programs that callbacks start, where PHP has a way to say so. */
	private function keep_from_children() {
		if ( ! extension_loaded( 'ffi' ) ) {
			return;
		}
		try {
			$c = FFI::cdef( 'int fcntl(int descriptor, int command, ...);' );
			for ( $number = 3; $number < 64; $number++ ) {
				$c->fcntl( $number, 2, 1 ); // F_SETFD, FD_CLOEXEC: the same numbers everywhere.
			}
		} catch ( Throwable $error ) {
			return; // Not allowed here.
		}
	}

	/** Until the channel is closed. */
	public function serve() {
		if ( function_exists( 'set_time_limit' ) ) {
			set_time_limit( 0 );
		}
		ignore_user_abort( true );
		register_shutdown_function( array( $this, 'at_exit' ) );
		foreach ( array( '', '_ajax', '_json', '_jsonp', '_xmlrpc', '_xml' ) as $kind ) {
			add_filter( "wp_die{$kind}_handler", array( $this, 'die_handler' ), PHP_INT_MAX );
		}
		add_action( 'action_scheduler_failed_execution', array( $this, 'keep_error' ), PHP_INT_MIN, 2 );
		add_filter( 'query', array( $this, 'watch_query' ), PHP_INT_MAX );
		$this->reserve = str_repeat( 'x', 1 << 18 );
		$this->clean   = array(
			'cwd'     => getcwd(),
			'user'    => get_current_user_id(),
			'zone'    => date_default_timezone_get(),
			'globals' => array( $_GET, $_POST, $_REQUEST, $_COOKIE, $_SERVER ),
		);
		while ( null !== ( $request = $this->next() ) ) {
			switch ( $request['do'] ) {
				case 'run':
					$this->run( (int) $request['id'], $request );
					break;
				case 'ignored':
					$this->ignore( (int) $request['id'] );
					break;
				case 'hello':
					$this->hello( $request );
					break;
				case 'has':
					$this->answer( array( 'is' => 'has', 'hooks' => (object) $this->callbacks( $request['hooks'] ) ) );
					break;
			}
		}
		$this->guarded( 'action_scheduler_after_process_queue' );
	}

	/**
	 * The next request; null when the channel was closed.
	 *
	 * @return array|null
	 */
	private function next() {
		if ( $this->waiting ) {
			return array_shift( $this->waiting );
		}
		$line = fgets( $this->in );
		return false === $line ? null : json_decode( $line, true );
	}

	/**
	 * Hands back what was sent and not begun: while a long action ran it may have been canceled.
	 *
	 * All is read before the first answer, since what is sent after that is to be run.
	 *
	 * @param array $ids Of actions that are handed back before the others.
	 */
	private function give_back( array $ids = array() ) {
		$lines = array();
		stream_set_blocking( $this->in, false );
		while ( false !== ( $piece = fgets( $this->in ) ) ) {
			$this->partial .= $piece;
			if ( "\n" === substr( $piece, -1 ) ) {
				$lines[]       = $this->partial;
				$this->partial = '';
			}
		}
		stream_set_blocking( $this->in, true );
		if ( '' !== $this->partial ) {
			$lines[]       = $this->partial . fgets( $this->in );
			$this->partial = '';
		}
		foreach ( $lines as $line ) {
			$request = json_decode( $line, true );
			if ( $request && 'run' === $request['do'] ) {
				$ids[] = $request['id'];
			} else {
				$this->waiting[] = $request;
			}
		}
		foreach ( $ids as $id ) {
			$this->answer( array( 'is' => 'end', 'id' => $id, 'as' => 'unstarted' ) );
		}
	}

	/**
	 * Writes one answer.
	 *
	 * @param array $told What to say.
	 */
	private function answer( array $told ) {
		$told['secret'] = self::$secret;
		// On a line of its own, whatever a callback has left unfinished in the pipe.
		$line = "\n" . json_encode( $told, JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR ) . "\n";
		while ( '' !== $line ) {
			$written = fwrite( $this->out, $line );
			if ( ! $written ) {
				exit( 1 ); // Nobody listens any more.
			}
			$line = (string) substr( $line, $written );
		}
	}

	/**
	 * Says who we are.
	 *
	 * @param array $request Secret, marker, books, missing, context, memory, runner.
	 */
	private function hello( array $request ) {
		global $wpdb, $wp_version;
		if ( isset( $request['secret'] ) ) {
			self::$secret = $request['secret'];
			unset( $request['secret'] ); // Backtraces show arguments as they are by then.
		}
		$this->marker       = $request['marker'];
		$this->context      = $request['context'];
		$this->books        = $request['books'];
		$this->fail_missing = 'fail' === $request['missing'];
		$own                = wp_convert_hr_to_bytes( ini_get( 'memory_limit' ) );
		$this->most_memory  = $own > 0 ? min( $request['memory'], (int) ( $own * 0.8 ) ) : $request['memory'];
		$plugin             = class_exists( 'ActionScheduler' ) && method_exists( 'ActionScheduler', 'is_initialized' )
			&& ActionScheduler::is_initialized();
		$this->answer(
			array(
				'is'               => 'hello',
				'worker'           => WPBRIDGE_WORKER,
				'pid'              => $this->pid,
				'php'              => PHP_VERSION,
				'wordpress'        => $wp_version,
				'action_scheduler' => $plugin ? ActionScheduler_Versions::instance()->latest_version() : null,
				'store'            => $plugin ? get_class( ActionScheduler::store() ) : null,
				'logger'           => $plugin ? get_class( ActionScheduler::logger() ) : null,
				'url'              => get_option( 'siteurl' ),
				'zone'             => get_option( 'timezone_string' ) ? get_option( 'timezone_string' ) : (string) get_option( 'gmt_offset' ),
				'memory_limit'     => wp_convert_hr_to_bytes( ini_get( 'memory_limit' ) ),
				'prefix'           => $wpdb->prefix,
				'sees_runner'      => $this->sees( $request['runner'] ),
				'wp_cli'           => defined( 'WP_CLI_VERSION' ) ? WP_CLI_VERSION : null,
			)
		);
		if ( 'bridge' === $this->books ) {
			$this->attach_logger( false );
		}
		$this->guarded( 'action_scheduler_before_process_queue' );
		$this->tidy();
		$this->ended_at = microtime( true );
	}

	/**
	 * Whether our runner's row is in the database that this WordPress uses.
	 *
	 * @param array|null $runner Id and start, as the runner entered itself.
	 * @return bool|null Null when nobody asked.
	 */
	private function sees( $runner ) {
		global $wpdb;
		if ( ! $runner ) {
			return null;
		}
		$before = $wpdb->suppress_errors( true );
		$found  = $wpdb->get_var(
			$wpdb->prepare( "SELECT pid_started FROM {$wpdb->prefix}wpbridge_runners WHERE runner_id = %d", $runner[0] ) // phpcs:ignore
		);
		$wpdb->suppress_errors( $before );
		return (string) $found === (string) $runner[1];
	}

	/**
	 * Which hooks have callbacks.
	 *
	 * @param string[] $hooks Names.
	 * @return array<string, bool>
	 */
	private function callbacks( array $hooks ) {
		return array_combine( $hooks, array_map( function ( $hook ) { return (bool) has_action( $hook ); }, $hooks ) );
	}

	/**
	 * Runs one action and says how it ended.
	 *
	 * @param int   $id      The action.
	 * @param array $request Hook, args as JSON text, native, traceparent.
	 */
	private function run( $id, array $request ) {
		global $wpdb;
		$hook = $request['hook'];
		if ( microtime( true ) - $this->ended_at > self::IDLE_SECONDS ) {
			$this->reconnect();
			$this->ended_at = microtime( true );
			$this->give_back( array( $id ) );
			return;
		}
		if ( ! $this->fail_missing && ! has_action( $hook ) ) {
			$this->answer( array( 'is' => 'end', 'id' => $id, 'as' => 'missing' ) );
			return;
		}
		$this->answer( array( 'is' => 'start', 'id' => $id ) );
		if ( isset( $request['traceparent'] ) ) {
			$_SERVER['HTTP_TRACEPARENT'] = $request['traceparent']; // Taken away again after the action.
		}
		$this->current = $id;
		$this->caught  = null;
		$shutdown      = $this->count_shutdown();
		$level         = ob_get_level();
		error_clear_last();
		$began = microtime( true );
		if ( 'native' === $this->books || ! empty( $request['native'] ) ) {
			$error = $this->run_natively( $id );
		} else {
			$error = $this->run_callbacks( $id, $hook, (array) json_decode( $request['args'], true ) );
		}
		if ( getmypid() !== $this->pid ) {
			// A copy that a callback forked, and that came back here: there is nobody to tell.
			// Without its shutdown functions, which are the worker's to call.
			function_exists( 'posix_kill' ) && posix_kill( getmypid(), 9 );
			exit( 0 );
		}
		$this->ended_at = microtime( true );
		$took           = $this->ended_at - $began;
		while ( ob_get_level() > $level ) {
			ob_end_flush();
		}
		$this->current = null;
		$this->tidy();
		// Ends this action's part of the output.
		fwrite( $this->err, $this->marker . $id . "\n" );
		$told = array(
			'is'       => 'end',
			'id'       => $id,
			'as'       => $error ? 'failed' : 'done',
			'seconds'  => round( $took, 6 ),
			'deferred' => $this->count_shutdown() > $shutdown,
			'full'     => memory_get_usage( true ) >= $this->most_memory,
		);
		if ( $error ) {
			$told['error'] = $this->describe( $error );
		}
		$this->answer( $told );
		// The companion plugin wakes idle daemons now if the action has stored another one.
		$this->guarded( 'wpbridge_action_ended', $id );
		if ( $took > self::PATIENCE_SECONDS || $told['full'] ) {
			$this->give_back();
		}
	}

	/**
	 * The plugin's own way: it marks, runs, logs and repeats.
	 *
	 * @param int $id The action.
	 * @return Throwable|null
	 */
	private function run_natively( $id ) {
		$this->attach_logger( true );
		try {
			ActionScheduler::runner()->process_action( $id, $this->context );
			return $this->caught;
		} catch ( Throwable $error ) {
			return $error;
		} finally {
			if ( 'bridge' === $this->books ) {
				$this->attach_logger( false );
			}
		}
	}

	/**
	 * The events and the callbacks alone, in the order of the plugin's process_action().
	 *
	 * @param int    $id   The action.
	 * @param string $hook Its hook.
	 * @param array  $args Decoded.
	 * @return Throwable|null
	 */
	private function run_callbacks( $id, $hook, array $args ) {
		set_error_handler(
			function ( $type, $message ) {
				throw new Exception( $message );
			},
			E_USER_ERROR | E_RECOVERABLE_ERROR
		);
		try {
			do_action( 'action_scheduler_before_execute', $id, $this->context );
			do_action( 'action_scheduler_begin_execute', $id, $this->context );
			$action = $this->action_for( 'action_scheduler_after_execute', $id );
			if ( ! has_action( $hook ) ) {
				throw new Exception( "Scheduled action for $hook will not be executed as no callbacks are registered." );
			}
			do_action_ref_array( $hook, array_values( $args ) );
			do_action( 'action_scheduler_after_execute', $id, $action, $this->context );
			do_action( 'action_scheduler_completed_action', $id );
			return null;
		} catch ( Throwable $error ) {
			$code = $error->getCode();
			$this->guarded(
				'action_scheduler_failed_execution',
				$id,
				new Exception( $error->getMessage(), is_int( $code ) ? $code : 0, $error ),
				$this->context
			);
			return $error;
		} finally {
			restore_error_handler();
		}
	}

	/**
	 * The plugin's own object, read only when somebody listens to the event that carries it.
	 *
	 * @param string $event The event's name.
	 * @param int    $id    The action.
	 * @return ActionScheduler_Action|null
	 */
	private function action_for( $event, $id ) {
		if ( ! class_exists( 'ActionScheduler' ) || ! ( has_action( $event ) || has_action( 'all' ) ) ) {
			return null;
		}
		// The plugin reads it while the row is pending; ours is in-progress, which makes another class.
		$stored = ActionScheduler::store()->fetch_action( $id );
		return ActionScheduler::factory()->get_stored_action(
			ActionScheduler_Store::STATUS_PENDING,
			$stored->get_hook(),
			$stored->get_args(),
			$stored->get_schedule(),
			$stored->get_group(),
			method_exists( $stored, 'get_priority' ) ? $stored->get_priority() : 10
		);
	}

	/**
	 * An action whose turn came and that was no longer pending.
	 *
	 * @param int $id The action.
	 */
	private function ignore( $id ) {
		$this->guarded( 'action_scheduler_before_execute', $id, $this->context );
		$this->guarded( 'action_scheduler_execution_ignored', $id, $this->context );
		$this->tidy();
	}

	/**
	 * Fires an event outside of any action; what a listener throws is shown and forgotten.
	 *
	 * @param string $event The event's name.
	 * @param mixed  ...$values Its arguments.
	 */
	private function guarded( $event, ...$values ) {
		try {
			do_action( $event, ...$values );
		} catch ( Throwable $error ) {
			fwrite( $this->err, "wpbridge worker: a listener of $event threw: " . $error->getMessage() . "\n" );
		}
	}

	/**
	 * Takes the plugin's table logger off the events that wpbridge logs itself, or puts it back.
	 *
	 * @param bool $attach Put back.
	 */
	private function attach_logger( $attach ) {
		if ( ! class_exists( 'ActionScheduler' ) ) {
			return;
		}
		$logger = ActionScheduler::logger();
		if ( ! $logger instanceof ActionScheduler_DBLogger ) {
			return; // It writes elsewhere: nothing would be written twice.
		}
		foreach ( $this->logging as $event => list( $method, $count ) ) {
			remove_action( $event, array( $logger, $method ), 10 );
			if ( $attach ) {
				add_action( $event, array( $logger, $method ), 10, $count );
			}
		}
	}

	/**
	 * Keeps the exception that the plugin's runner caught.
	 *
	 * @param int       $id    The action.
	 * @param Throwable $error As the event carries it: wrapped.
	 */
	public function keep_error( $id, $error ) {
		if ( $id === $this->current ) {
			$this->caught = $error->getPrevious() ? $error->getPrevious() : $error;
		}
	}

	/**
	 * Leaves nothing of one action to the next.
	 */
	private function tidy() {
		global $wpdb;
		if ( is_multisite() ) {
			while ( ms_is_switched() ) {
				restore_current_blog();
			}
		}
		while ( function_exists( 'is_locale_switched' ) && is_locale_switched() ) {
			restore_previous_locale();
		}
		if ( get_current_user_id() !== $this->clean['user'] ) {
			wp_set_current_user( $this->clean['user'] );
		}
		list( $_GET, $_POST, $_REQUEST, $_COOKIE, $_SERVER ) = $this->clean['globals'];
		unset( $GLOBALS['post'], $GLOBALS['authordata'] );
		if ( date_default_timezone_get() !== $this->clean['zone'] ) {
			date_default_timezone_set( $this->clean['zone'] );
		}
		if ( getcwd() !== $this->clean['cwd'] ) {
			chdir( $this->clean['cwd'] );
		}
		if ( $this->in_transaction ) {
			// Left open it would hold its locks, and swallow the next one's work.
			$wpdb->query( 'ROLLBACK' );
			$wpdb->query( 'SET autocommit = 1' );
			$wpdb->query( 'UNLOCK TABLES' );
			$this->in_transaction = false;
		}
		if ( '' !== $wpdb->last_error ) {
			$this->reconnect();
		}
		$wpdb->suppress_errors( false );
		$wpdb->flush();
		$wpdb->queries     = array();
		$wpdb->last_error  = '';
		$wpdb->num_queries = 0;
		$this->flush_cache();
		error_clear_last();
	}

	/**
	 * Sees every query: a transaction begun here must not outlive its action.
	 *
	 * @param string $query SQL.
	 * @return string The same.
	 */
	public function watch_query( $query ) {
		if ( preg_match( '/^\s*(?:START\s+TRANSACTION|BEGIN|XA\s|LOCK\s+TABLE|SET\s+(?:SESSION\s+|@@)?autocommit)/i', $query ) ) {
			$this->in_transaction = true;
		}
		return $query;
	}

	/** Makes sure that the database is there; without it nothing can be run. */
	private function reconnect() {
		global $wpdb;
		if ( ! $wpdb->check_connection( false ) ) {
			fwrite( $this->err, "wpbridge worker: the database went away and did not come back\n" );
			exit( 1 );
		}
	}

	/** Forgets cached objects of this process, never those of a server that others share. */
	private function flush_cache() {
		global $wp_object_cache;
		if ( function_exists( 'wp_cache_supports' ) && wp_cache_supports( 'flush_runtime' ) ) {
			wp_cache_flush_runtime();
		} elseif ( ! wp_using_ext_object_cache() ) {
			wp_cache_flush();
		} elseif ( is_object( $wp_object_cache ) ) {
			foreach ( array( 'group_ops', 'stats', 'memcache_debug', 'cache' ) as $name ) {
				if ( isset( $wp_object_cache->$name ) && is_array( $wp_object_cache->$name ) ) {
					$wp_object_cache->$name = array();
				}
			}
			if ( method_exists( $wp_object_cache, '__remoteset' ) ) {
				$wp_object_cache->__remoteset();
			}
		}
	}

	/**
	 * How much is put off to the end of the request.
	 *
	 * @return int
	 */
	private function count_shutdown() {
		global $wp_filter;
		$count = 0;
		if ( isset( $wp_filter['shutdown'] ) ) {
			foreach ( $wp_filter['shutdown']->callbacks as $callbacks ) {
				$count += count( $callbacks );
			}
		}
		return $count;
	}

	/**
	 * What happened, for the action's log.
	 *
	 * @param Throwable $error Caught.
	 * @return array
	 */
	private function describe( $error ) {
		return array(
			'class'   => get_class( $error ),
			'message' => substr( (string) $error->getMessage(), 0, self::LONGEST_MESSAGE ),
			'file'    => (string) $error->getFile(),
			'line'    => (int) $error->getLine(),
		);
	}

	/**
	 * Stands in for WordPress's handler while an action runs.
	 *
	 * @param callable $handler WordPress's.
	 * @return callable
	 */
	public function die_handler( $handler ) {
		return null === $this->current ? $handler : array( $this, 'throw_died' );
	}

	/**
	 * Ends the action instead of the process.
	 *
	 * @param string|WP_Error $message As given to wp_die().
	 * @param string|int      $title   Unused.
	 * @param array|string|int $args   As given to wp_die().
	 * @throws Wpbridge_Died Always, unless wp_die() was told not to exit.
	 */
	public function throw_died( $message = '', $title = '', $args = array() ) {
		$text = is_wp_error( $message ) ? $message->get_error_message() : (string) $message;
		$text = trim( wp_strip_all_tags( $text ) );
		if ( is_array( $args ) && isset( $args['exit'] ) && ! $args['exit'] ) {
			echo $text; // phpcs:ignore -- Not a page.
			return;
		}
		$died = new Wpbridge_Died( '' === $text ? 'wp_die()' : "wp_die(): $text" );
		throw $died;
	}

	/** Says which action took the process with it, and why. */
	public function at_exit() {
		$this->reserve = null;
		if ( null === $this->current || getmypid() !== $this->pid ) {
			return; // Between actions, or a child that a callback forked.
		}
		ini_set( 'memory_limit', '-1' ); // phpcs:ignore -- For these few lines.
		$error = error_get_last();
		$fatal = $error && in_array( $error['type'], self::FATAL, true );
		$this->answer(
			array(
				'is'    => 'dying',
				'id'    => $this->current,
				'error' => $fatal ? array( 'message' => $error['message'], 'file' => $error['file'], 'line' => $error['line'] ) : null,
			)
		);
	}
}
