<?php
/*
 * The third part of the companion plugin: results and progress of actions, for callbacks in PHP and for whoever asks.
 */

if ( ! class_exists( 'Wpbridge_Results', false ) ) {

	/**
	 * Keeps what a callback says of its action in a table of wpbridge, where wpbridge's HTTP gateway and `wpbridge get` find it.
	 *
	 * Where the table is missing, nothing is kept, and the functions say so by what they return.
	 */
	final class Wpbridge_Results {

		/** So large a result may be, as JSON. */
		const MOST_BYTES = 65536;

		/** The actions that run now, the innermost last: a callback may run others. */
		private static $running = array();

		public static function listen() {
			add_action( 'action_scheduler_before_execute', array( __CLASS__, 'begin' ), PHP_INT_MIN );
			add_action( 'action_scheduler_after_execute', array( __CLASS__, 'end' ), PHP_INT_MAX );
			add_action( 'action_scheduler_failed_execution', array( __CLASS__, 'end' ), PHP_INT_MAX );
		}

		public static function begin( $id ) {
			self::$running[] = (int) $id;
		}

		public static function end( $id ) {
			$place = array_search( (int) $id, array_reverse( self::$running, true ), true );
			if ( false !== $place ) {
				array_splice( self::$running, $place );
			}
		}

		/** Keeps a value as the result of the action that runs now. */
		public static function set( $value ) {
			if ( null === $value || ! self::$running ) {
				return false;
			}
			$text = json_encode( $value );
			if ( false === $text ) {
				return self::left_out( 'it is no JSON: ' . json_last_error_msg() );
			}
			if ( strlen( $text ) > self::MOST_BYTES ) {
				return self::left_out( sprintf( 'as JSON it has %d bytes, and %d are kept at most', strlen( $text ), self::MOST_BYTES ) );
			}
			return self::write( 'result = VALUES( result )', "%s, NULL, ''", array( $text ) );
		}

		/** Notes how far the action that runs now is. */
		public static function progress( $fraction, $text ) {
			if ( ! self::$running || ! is_numeric( $fraction ) || is_nan( (float) $fraction ) ) {
				return false;
			}
			$share = sprintf( '%F', min( 1.0, max( 0.0, (float) $fraction ) ) );
			$text  = function_exists( 'mb_substr' ) ? mb_substr( (string) $text, 0, 255, 'UTF-8' ) : substr( (string) $text, 0, 255 );
			return self::write(
				'progress = VALUES( progress ), progress_text = VALUES( progress_text )',
				"NULL, $share, %s",
				array( wp_check_invalid_utf8( $text, true ) )
			);
		}

		/** The rows that a query finds; none where the table is missing. */
		private static function row( $sql, $value ) {
			global $wpdb;
			$rows = Wpbridge_Companion::rows( $wpdb->prepare( $sql, $value ) );
			return $rows ? $rows[0] : null;
		}

		/** What an action's callback or handler returned. */
		public static function result( $id ) {
			global $wpdb;
			$row = self::row( "SELECT result FROM {$wpdb->prefix}wpbridge_results WHERE action_id = %d AND result IS NOT NULL", (int) $id );
			return $row ? json_decode( $row['result'], true ) : null;
		}

		/** A job that came over HTTP, by its id. */
		public static function job( $uuid ) {
			global $wpdb;
			$row = self::row(
				"SELECT j.action_id, a.hook, a.status, r.result, r.progress, r.progress_text FROM {$wpdb->prefix}wpbridge_jobs j"
				. " JOIN {$wpdb->prefix}actionscheduler_actions a ON a.action_id = j.action_id"
				. " LEFT JOIN {$wpdb->prefix}wpbridge_results r ON r.action_id = j.action_id WHERE j.uuid = %s",
				(string) $uuid
			);
			if ( ! $row ) {
				return null;
			}
			return array(
				'job'       => (string) $uuid,
				'action_id' => (int) $row['action_id'],
				'hook'      => $row['hook'],
				'status'    => $row['status'],
				'progress'  => null === $row['progress'] ? null : array( 'fraction' => (float) $row['progress'], 'text' => $row['progress_text'] ),
				'result'    => 'complete' === $row['status'] && null !== $row['result'] ? json_decode( $row['result'], true ) : null,
			);
		}

		private static function write( $changes, $values, array $texts ) {
			global $wpdb;
			if ( is_a( $wpdb, 'WP_SQLite_DB' ) ) {
				return false;
			}
			$id     = end( self::$running );
			$before = $wpdb->suppress_errors( true );
			$done   = $wpdb->query(
				$wpdb->prepare(
					"INSERT INTO {$wpdb->prefix}wpbridge_results ( action_id, result, progress, progress_text, updated_gmt )"
					. " VALUES ( $id, $values, UTC_TIMESTAMP() ) ON DUPLICATE KEY UPDATE $changes, updated_gmt = VALUES( updated_gmt )",
					$texts
				)
			);
			$wpdb->suppress_errors( $before );
			return false !== $done;
		}

		/** Says in the action's log why its result is not kept. The action goes on. */
		private static function left_out( $why ) {
			ActionScheduler_Logger::instance()->log( end( self::$running ), "wpbridge: what the callback returned is not kept: $why" );
			return false;
		}
	}

	Wpbridge_Results::listen();

	/**
	 * Keeps a value as the result of the action whose callback calls this.
	 *
	 * @param mixed $value Anything that JSON can tell, up to 64 KiB. Null keeps nothing.
	 * @return bool Whether it is kept. Where it is not, the action's log says why, and the action goes on.
	 */
	function wpbridge_set_result( $value ) {
		return Wpbridge_Results::set( $value );
	}

	/**
	 * Says how far the action is whose callback calls this.
	 *
	 * @param float  $fraction From 0 to 1.
	 * @param string $text     For people, up to 255 characters.
	 * @return bool Whether it is noted.
	 */
	function wpbridge_progress( $fraction, $text = '' ) {
		return Wpbridge_Results::progress( $fraction, $text );
	}

	/**
	 * The result of an action.
	 *
	 * @param int $id The action.
	 * @return mixed What its callback kept or its handler returned; null where there is nothing.
	 */
	function wpbridge_result( $id ) {
		return Wpbridge_Results::result( $id );
	}

	/**
	 * A job that came over HTTP.
	 *
	 * @param string $uuid Its id.
	 * @return array|null Its job, action_id, hook, status, progress and result; null where there is no such job.
	 */
	function wpbridge_job( $uuid ) {
		return Wpbridge_Results::job( $uuid );
	}
}
