<?php
/*
 * The fifth part of the companion plugin: which span led to an action that PHP stores.
 */

if ( ! class_exists( 'Wpbridge_Traces', false ) ) {

	/**
	 * Keeps the traceparent of the request in which an action is stored, so that wpbridge links the action's attempts to it.
	 *
	 * It works on the sites whose configuration asks for it. Where wpbridge's table is missing, nothing is kept, and nobody
	 * is told. Written in the PHP of 5.6, as the first part.
	 */
	final class Wpbridge_Traces {

		/** A traceparent, as W3C Trace Context has it. wpbridge has the same in Python. */
		const SHAPE = '/\A(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}\z/';

		/** The action that was executed last. What is stored next may be its successor. */
		private static $ended = 0;

		public static function listen() {
			if ( false === strpos( WPBRIDGE_COMPANION, '"traces":true' ) ) {
				return;
			}
			add_action( 'action_scheduler_stored_action', array( __CLASS__, 'keep' ), PHP_INT_MAX );
			add_action( 'action_scheduler_before_execute', array( __CLASS__, 'begin' ), PHP_INT_MIN );
			add_action( 'action_scheduler_after_execute', array( __CLASS__, 'end' ), PHP_INT_MAX );
			add_action( 'action_scheduler_failed_execution', array( __CLASS__, 'end' ), PHP_INT_MAX );
		}

		public static function begin() {
			self::$ended = 0;
		}

		public static function end( $id ) {
			self::$ended = (int) $id;
		}

		/** Keeps the traceparent of a new action: that of the action whose successor it is, or that of the request. */
		public static function keep( $id ) {
			global $wpdb;
			if ( ! Wpbridge_Companion::is_traced() || self::inherit( (int) $id ) ) {
				return;
			}
			$told = isset( $_SERVER['HTTP_TRACEPARENT'] ) ? $_SERVER['HTTP_TRACEPARENT'] : '';
			/** Filters the traceparent of the span that has led to an action which is being stored. */
			$told = apply_filters( 'wpbridge_traceparent', $told, (int) $id );
			if ( is_string( $told ) && preg_match( self::SHAPE, $told ) ) {
				self::write( $wpdb->prepare( "INSERT IGNORE INTO {$wpdb->prefix}wpbridge_traces ( action_id, traceparent ) VALUES ( %d, %s )", $id, $told ) );
			}
		}

		/** Hands on the traceparent of the action that was executed last, if the new one is its successor. */
		private static function inherit( $id ) {
			global $wpdb;
			$old = self::$ended;
			foreach ( $old ? array( 'traces', 'jobs' ) : array() as $table ) {
				$done = self::write(
					"INSERT IGNORE INTO {$wpdb->prefix}wpbridge_traces ( action_id, traceparent ) SELECT n.action_id, t.traceparent"
					. " FROM {$wpdb->prefix}wpbridge_$table t JOIN {$wpdb->prefix}actionscheduler_actions o ON o.action_id = t.action_id"
					. " JOIN {$wpdb->prefix}actionscheduler_actions n ON n.hook = o.hook AND n.group_id = o.group_id AND COALESCE( n.args, '' ) = COALESCE( o.args, '' )"
					. " WHERE t.action_id = $old AND t.traceparent <> '' AND n.action_id = $id"
				);
				if ( $done ) {
					self::$ended = 0;
					return true;
				}
			}
			return false;
		}

		/** Runs a query of which nobody sees a trace: neither an error, nor another id of the last row. Returns how many rows it wrote. */
		private static function write( $sql ) {
			global $wpdb;
			$names  = array( 'insert_id', 'rows_affected', 'num_rows', 'last_error', 'last_query', 'last_result' );
			$before = array();
			foreach ( $names as $name ) {
				$before[ $name ] = $wpdb->$name;
			}
			$shown = $wpdb->suppress_errors( true );
			try {
				$done = (int) $wpdb->query( $sql );
			} catch ( Exception $error ) {
				$done = 0;
			} catch ( Throwable $error ) {
				$done = 0;
			}
			$wpdb->suppress_errors( $shown );
			foreach ( $before as $name => $value ) {
				$wpdb->$name = $value;
			}
			return $done;
		}
	}

	Wpbridge_Traces::listen();
}
